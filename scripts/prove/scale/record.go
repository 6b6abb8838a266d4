package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// unusedBlob is an entry of the record of prune. Times are Unix seconds. Since is 0 for a
// blob that was deleted, Out for one that an index may have.
type unusedBlob struct{ Since, Out, Until int64 }

const (
	recordHeader = 8
	recordEntry  = sha256.Size + 3*8
	recordSum    = sha256.Size // the size of half a SHA-256 in hexadecimal digits
)

// edit changes the record of prune, which is in pieces in the state, and returns it by
// digest, without what was deleted.
func (f *filling) edit(change func(*unusedBlob)) (map[string]unusedBlob, error) {
	files, err := filepath.Glob(filepath.Join(f.state, "prune", "?"))
	if err != nil {
		return nil, err
	}
	record := map[string]unusedBlob{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		size := len(data) - recordSum
		if size < recordHeader || (size-recordHeader)%recordEntry != 0 {
			return nil, fmt.Errorf("%s has %d bytes: want a header, entries and a checksum", file, len(data))
		}
		for at := recordHeader; at < size; at += recordEntry {
			entry := data[at : at+recordEntry]
			var b unusedBlob
			if _, err := binary.Decode(entry[sha256.Size:], binary.BigEndian, &b); err != nil {
				return nil, err
			}
			if b.Since == 0 {
				continue
			}
			change(&b)
			if _, err := binary.Encode(entry[sha256.Size:], binary.BigEndian, b); err != nil {
				return nil, err
			}
			record["sha256:"+hex.EncodeToString(entry[:sha256.Size])] = b
		}
		if err := os.WriteFile(file, sealed(data[:size]), 0o600); err != nil {
			return nil, err
		}
	}
	return record, nil
}

// sealed appends the checksum to a piece of the record.
func sealed(data []byte) []byte {
	sum := sha256.Sum256(data)
	return hex.AppendEncode(data, sum[:recordSum/2])
}
