package room

// Limit returns the bound of an outbox; 0 for a nil outbox.
func (o *Outbox) Limit() int {
	if o == nil {
		return 0
	}
	return o.limit
}

// Offer queues a payload that is never dropped.
func Offer(o *Outbox, payload []byte) { o.offer(payload) }
