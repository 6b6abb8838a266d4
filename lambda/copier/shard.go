package copier

import (
	"hash/fnv"
	"io"

	"archeio/lambda/registry"
)

// shardMessages returns a message for each shard of a repository.
func shardMessages(m Message, images int) []Message {
	var messages []Message
	of := images/splitAt + 1
	for shard := range of {
		messages = append(messages, Message{Do: doRepository, Run: m.Run, Repository: m.Repository, Leaf: true, Shard: shard, Of: of})
	}
	return messages
}

// shardOf returns the number of the shard that an image belongs to.
func shardOf(e registry.Entry, of int) int {
	if of <= 1 {
		return 0
	}
	h := fnv.New32a()
	io.WriteString(h, e.Key())
	return int(h.Sum32() % uint32(of))
}
