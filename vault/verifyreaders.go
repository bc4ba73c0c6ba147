package vault

import (
	"sync"
)

const (
	// readers is how many objects or wraps of a region are looked at at once.
	readers = 8
	// readAhead is how many wait for a reader, so that these have work while the next page
	// of a listing is fetched.
	readAhead = 64
	// readBuffer is what a reader takes at a time: large, so that bytes are not copied once
	// more on their way.
	readBuffer = 256 << 10
)

// atOnce has prove look at whatever walk hands over. It returns when all is done, with
// the first error of any.
func atOnce[T any](c *verification, prove func(T) error, walk func(hand func(T)) error) error {
	waiting := make(chan T, readAhead)
	var working sync.WaitGroup
	for range readers {
		working.Go(func() {
			for one := range waiting {
				if !c.broken() { // after an error nobody needs the rest
					c.fail(prove(one))
				}
				c.reading.Done()
			}
		})
	}
	err := walk(func(one T) {
		c.reading.Add(1)
		waiting <- one
	})
	close(waiting)
	working.Wait()
	if failed := c.drain(); failed != nil {
		c.mu.Lock()
		c.failed = nil
		c.mu.Unlock()
		return failed
	}
	return err
}

func (c *verification) broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed != nil
}

// buffer is lent until it is given back.
func (c *verification) buffer() (b *[readBuffer]byte, giveBack func()) {
	b, _ = c.buffers.Get().(*[readBuffer]byte)
	if b == nil {
		b = new([readBuffer]byte)
	}
	return b, func() { c.buffers.Put(b) }
}
