package index

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// Decoder decodes an index that arrives in pieces. It needs no more memory than the
// index. It is not safe for concurrent use.
type Decoder struct {
	admit    func(*Header) error
	header   [HeaderSize]byte
	received int64
	builder  *builder // nil until the header is complete
	err      error
}

// NewDecoder returns a Decoder. It calls admit with the header before it allocates
// memory for the entries; an error of admit ends the decoding. admit may be nil.
func NewDecoder(admit func(*Header) error) *Decoder { return &Decoder{admit: admit} }

// Received returns the number of bytes that were decoded.
func (d *Decoder) Received() int64 { return d.received }

// pieceSize is how many bytes are read before they are checked.
const pieceSize = 128 << 10

// ReadFrom decodes what follows the bytes of earlier calls, up to the end of the
// index or of r. The error is that of r, that of admit, or wraps ErrInvalid; after
// the last two, each further call returns it again.
func (d *Decoder) ReadFrom(r io.Reader) (int64, error) {
	before := d.received
	for d.err == nil {
		into := d.space()
		if len(into) == 0 {
			var end [1]byte
			switch n, err := io.ReadFull(r, end[:]); {
			case n > 0:
				d.err = invalid("bytes after the last entry")
			case err != io.EOF:
				return d.received - before, err
			}
			break
		}
		n, err := r.Read(into)
		d.accept(n)
		if d.err != nil || err == io.EOF {
			break
		}
		if err != nil {
			return d.received - before, err
		}
	}
	return d.received - before, d.err
}

// space returns where the next bytes belong, empty if all were received.
func (d *Decoder) space() []byte {
	if d.builder == nil {
		return d.header[d.received:]
	}
	rest := d.builder.index.entries[d.received-HeaderSize:]
	return rest[:min(len(rest), pieceSize)]
}

// accept decodes n bytes that were read into the space.
func (d *Decoder) accept(n int) {
	d.received += int64(n)
	switch {
	case d.received < HeaderSize:
	case d.builder == nil:
		h, err := ParseHeader(d.header[:])
		if err == nil && d.admit != nil {
			err = d.admit(&h)
		}
		if err != nil {
			d.err = err
			return
		}
		d.builder = newBuilder(h, d.header[:], make([]byte, h.Entries*entrySize))
	default:
		d.err = d.builder.add(int(d.received - HeaderSize))
	}
}

// Index returns the index, or an error that wraps ErrInvalid if it is not complete.
// Call it once.
func (d *Decoder) Index() (*Index, error) {
	switch {
	case d.err != nil:
		return nil, d.err
	case d.builder == nil:
		return nil, invalid("%d bytes, want at least %d", d.received, HeaderSize)
	}
	return d.builder.finish(int(d.received - HeaderSize))
}

// Parse parses an index, which refers to data afterwards. Its error wraps ErrInvalid.
func Parse(data []byte) (*Index, error) {
	h, err := ParseHeader(data)
	if err != nil {
		return nil, err
	}
	entries := data[HeaderSize:]
	if len(entries) > h.Entries*entrySize {
		return nil, invalid("bytes after the last entry")
	} else if len(entries) < h.Entries*entrySize {
		return nil, invalid("%d bytes of entries, want %d by its header", len(entries), h.Entries*entrySize)
	}
	b := newBuilder(h, data, entries)
	if err := b.add(len(entries)); err != nil {
		return nil, err
	}
	return b.finish(len(entries))
}

// builder checks entries and makes the table of an index while the entries arrive.
type builder struct {
	index     *Index
	want, sum uint32
	summed    int // bytes
	checked   int // entries
	next      int // position in the table
}

// newBuilder returns a builder of an index with entries that are not there yet.
func newBuilder(h Header, header, entries []byte) *builder {
	b := &builder{index: &Index{Header: h, entries: entries}, want: binary.BigEndian.Uint32(header[checksumAt:])}
	b.index.makeTable(h.Entries)
	b.sum = crc32.Update(crc32.Checksum(header[:checksumAt], castagnoli()), castagnoli(), header[checksumAt+4:HeaderSize])
	return b
}

// castagnoli returns the table of CRC-32C. It is not a package variable, which would
// be initialized at start-up; the table is made once.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// add continues with the entries that arrived: size bytes in all.
func (b *builder) add(size int) error {
	x := b.index
	b.sum = crc32.Update(b.sum, castagnoli(), x.entries[b.summed:size])
	b.summed = size
	for complete := size / entrySize; b.checked < complete; b.checked++ {
		e := x.at(b.checked)
		if b.checked > 0 && e <= x.at(b.checked-1) {
			return invalid("entry %d: want entries in ascending order", b.checked+1)
		}
		for first := e >> x.shift; uint64(b.next) <= first; b.next++ {
			x.starts[b.next] = uint32(b.checked)
		}
	}
	return nil
}

// finish returns the index if it is complete.
func (b *builder) finish(size int) (*Index, error) {
	x := b.index
	switch {
	case size != len(x.entries):
		return nil, invalid("%d bytes of entries, want %d by its header", size, len(x.entries))
	case b.sum != b.want:
		return nil, invalid("it does not match its checksum")
	}
	for ; b.next < len(x.starts); b.next++ {
		x.starts[b.next] = uint32(x.Len())
	}
	for _, w := range x.Witnesses {
		if !x.Has(w) {
			return nil, invalid("witness %s is not among the entries", w)
		}
	}
	return x, nil
}
