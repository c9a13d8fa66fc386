// Runs before the first paint, so that a chosen appearance does not flash. See src/ui/appearance.ts.
try {
  const chosen = localStorage.getItem('weft.appearance')
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen
} catch {
  // Storage may be forbidden; the system's appearance is used then.
}
