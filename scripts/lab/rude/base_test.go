package rude

import "sync"

// base is content for all tests, which make copies of it.
var base = sync.OnceValue(func() *Content { return Base(1) })
