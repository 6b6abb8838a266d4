package relay

import (
	"container/list"
	"sync"
	"time"
)

const (
	// cacheSize limits what is cached, in bytes. entryOverhead is what an entry needs
	// in addition to its strings.
	cacheSize     = 32 << 20
	entryOverhead = 512
)

// entry is a cached response.
type entry struct {
	response Response
	// fresh is until when it is served without asking the upstream, stale until when
	// it is served if that does not respond.
	fresh, stale time.Time
}

// cache has the responses that were used last. The zero value is empty.
type cache struct {
	mu    sync.Mutex
	items map[string]*list.Element
	order list.List // of *item, the last used first
	size  int
}

type item struct {
	key string
	*entry
}

func (i *item) size() int {
	r := &i.response
	return entryOverhead + len(i.key) + len(r.Body) + len(r.Location) + len(r.ContentType) + len(r.Digest) + len(r.ETag) + len(r.Link) + len(r.Filters)
}

// get returns the entry of a key.
func (c *cache) get(key string) (*entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[key]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*item).entry, true
}

// put stores an entry, which must not change any more, and removes others to make room.
func (c *cache) put(key string, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.items[key]; ok {
		c.drop(old)
	}
	if c.items == nil {
		c.items = map[string]*list.Element{}
	}
	i := &item{key, e}
	c.items[key] = c.order.PushFront(i)
	for c.size += i.size(); c.size > cacheSize; {
		c.drop(c.order.Back())
	}
}

// remove removes the entry of a key.
func (c *cache) remove(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.items[key]; ok {
		c.drop(old)
	}
}

func (c *cache) drop(e *list.Element) {
	i := c.order.Remove(e).(*item)
	delete(c.items, i.key)
	c.size -= i.size()
}
