package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"weft/gateway"
	"weft/persistence"
	"weft/room"
)

// sources are what is asked for its state when somebody looks at the metrics. Nothing is counted for them meanwhile.
type sources struct {
	connections func() gateway.Usage
	messages    func() int64 // bytes of memory of messages
	compressing func() int64 // connections
	rooms       func() room.Totals
	backlog     func() persistence.Backlog
	queued      func() int64 // bytes that wait for a commit
	setAside    func() int   // damaged rooms
	load        func() load  // how full the process is
}

// stateGauges is a prometheus.Collector over sources: each is asked once for a scrape, and its figures belong together.
type stateGauges struct {
	from sources

	conns, outbox, outboxMax, perAddress, perUser, perRoom, messages, compressing *prometheus.Desc

	roomsOpen, roomsLoading, roomsSetAside, people     *prometheus.Desc
	docMemory, docStructs, docPending, docUnsaved      *prometheus.Desc
	logBytes, logAge, parkedBytes, parkedRooms, queued *prometheus.Desc
	load, loadUse                                      *prometheus.Desc
}

func newStateGauges(from sources) *stateGauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("weft_"+name, help, labels, nil)
	}
	return &stateGauges{
		from:       from,
		conns:      desc("connections", "WebSocket connections that are open. entering: not in a room yet; active: its client has said something lately; quiet: it waits for that at the least cost; ending: the goodbye.", "protocol", "state"),
		outbox:     desc("outbox_bytes", "Bytes that wait to be written to clients, or are being written. What several clients get counts for each, but is in memory once."),
		outboxMax:  desc("outbox_max_bytes", "Bytes that wait to be written, or are being written, of the connection that has the most."),
		perAddress: desc("connections_address_max", "Connections of the address that has the most."),
		perUser:    desc("connections_user_max", "Connections of the user, known by an id, who has the most."),
		perRoom:    desc("room_clients_max", "Clients in the fullest room."),
		messages:   desc("message_memory_bytes", "Memory of messages that are being read or wait for a token to be looked at."),

		compressing: desc("compressed_connections", "WebSocket connections whose messages are compressed."),

		roomsOpen:     desc("rooms_open", "Rooms in memory: hot. weft_rooms_closed_total counts how often one went cold."),
		roomsLoading:  desc("rooms_loading", "Cold rooms that wait to be loaded, or are being loaded."),
		roomsSetAside: desc("rooms_set_aside", "Rooms that are damaged, and neither served nor written until they are repaired."),
		people:        desc("people", "Client ids with a presence state."),
		docMemory:     desc("doc_memory_bytes", "Memory of all open documents, about; some seconds old."),
		docStructs:    desc("doc_structs", "Structs of all open documents: what is there, what is deleted, and collected ranges; some seconds old."),
		docPending:    desc("doc_pending_bytes", "Bytes of updates that wait in memory for what they build on."),
		docUnsaved:    desc("doc_unsaved_bytes", "Bytes of updates of open rooms that are in the log and in no snapshot yet: the debt of checkpoints."),

		logBytes:    desc("log_bytes", "Bytes in the log."),
		logAge:      desc("log_age_seconds", "Age of the oldest record that must stay in the log."),
		parkedBytes: desc("parked_bytes", "Bytes of updates that were moved out of the log because their rooms cannot be saved."),
		parkedRooms: desc("parked_rooms", "Rooms that cannot be saved and whose updates were therefore moved out of the log."),
		queued:      desc("store_queue_bytes", "Bytes of updates that wait for a commit."),

		load:    desc("load", "How full the process is, 0 to 1: the highest weft_load_ratio. What an autoscaler may go by."),
		loadUse: desc("load_ratio", "Use of one resource by its limit, 0 to 1.", "resource"),
	}
}

// Describe implements prometheus.Collector.
func (g *stateGauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		g.conns, g.outbox, g.outboxMax, g.perAddress, g.perUser, g.perRoom, g.messages, g.compressing,
		g.roomsOpen, g.roomsLoading, g.roomsSetAside, g.people, g.docMemory, g.docStructs, g.docPending, g.docUnsaved,
		g.logBytes, g.logAge, g.parkedBytes, g.parkedRooms, g.queued, g.load, g.loadUse,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *stateGauges) Collect(ch chan<- prometheus.Metric) {
	set := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	u := g.from.connections()
	for _, p := range gateway.Protocols() {
		for _, s := range gateway.States() {
			set(g.conns, float64(u.Conns[gateway.Kind{Protocol: p, State: s}]), p, string(s))
		}
	}
	set(g.outbox, float64(u.Outbox))
	set(g.outboxMax, float64(u.OutboxMax))
	set(g.perAddress, float64(u.PerAddr))
	set(g.perUser, float64(u.PerUser))
	set(g.perRoom, float64(u.PerRoom))
	set(g.messages, float64(g.from.messages()))
	set(g.compressing, float64(g.from.compressing()))

	t := g.from.rooms()
	set(g.roomsOpen, float64(t.Rooms))
	set(g.roomsLoading, float64(t.Loading))
	set(g.roomsSetAside, float64(g.from.setAside()))
	set(g.people, float64(t.People))
	set(g.docMemory, float64(t.Memory))
	set(g.docStructs, float64(t.Structs))
	set(g.docPending, float64(t.Pending))
	set(g.docUnsaved, float64(t.Unsaved))

	b := g.from.backlog()
	set(g.logBytes, float64(b.LogBytes))
	set(g.logAge, b.LogAge.Seconds())
	set(g.parkedBytes, float64(b.ParkedBytes))
	set(g.parkedRooms, float64(b.ParkedRooms))
	set(g.queued, float64(g.from.queued()))

	l := g.from.load()
	set(g.load, l.Load)
	for _, r := range l.Resources {
		set(g.loadUse, r.Ratio, r.Name)
	}
}
