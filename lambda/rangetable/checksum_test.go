package rangetable

import "hash/crc32"

// checksum is that of a table, over what follows it.
func checksum(data []byte) uint32 {
	return crc32.Checksum(data[12:], crc32.MakeTable(crc32.Castagnoli))
}
