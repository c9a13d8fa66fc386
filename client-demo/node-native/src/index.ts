// A client of Weft's native protocol (protocol/PROTOCOL.md). Client keeps the connection, Room is the place in one room,
// Replica the document behind it.
export { Backoff } from './backoff.js'
export { Client, type ClientOptions, type Status } from './client.js'
export { Access, Code, Durability, SyncMode, Version } from './gen/weft_pb.js'
export type { State } from './presence.js'
export { Refusal } from './refusal.js'
export { YrsReplica, type Replica } from './replica.js'
export { Room, type JoinOptions } from './room.js'
