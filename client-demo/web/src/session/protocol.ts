// Which protocol the page speaks to the server. Pages with different ones edit the same rooms together.

/** What can be spoken, the usual one first. */
export const PROTOCOLS = ['y-websocket', 'hocuspocus'] as const
export type Protocol = (typeof PROTOCOLS)[number]

const PARAMETER = 'provider'

/** The protocol that a page's address asks for. */
export function protocolOf(address: URL): Protocol {
  return PROTOCOLS.find((p) => p === address.searchParams.get(PARAMETER)) ?? PROTOCOLS[0]
}

/** The address of the same page with another protocol. */
export function withProtocol(address: URL, protocol: Protocol): URL {
  const other = new URL(address)
  if (protocol === PROTOCOLS[0]) other.searchParams.delete(PARAMETER)
  else other.searchParams.set(PARAMETER, protocol)
  return other
}
