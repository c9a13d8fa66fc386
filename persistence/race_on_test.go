//go:build race

package persistence

// raceEnabled tells whether the test binary is several times slower than a normal one.
const raceEnabled = true
