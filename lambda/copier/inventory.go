package copier

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"archeio/lambda/config"
)

// inventory describes what all buckets have. It is divided into parts by the first
// hexadecimal digits of the digests, so that memory is needed for a few parts only.
// The content of each part is a piece of the State, which is named after its hash: a
// part that has not changed is not written again, and an inventory always fits its
// pieces.
type inventory struct {
	// Buckets are the names of the buckets, in the order of the masks.
	Buckets []string `json:"buckets"`
	// Digits is the number of hexadecimal digits that the digests of a part have in
	// common, so there are 16^Digits parts.
	Digits int    `json:"digits"`
	Parts  []part `json:"parts"`
	// Updated is when the run began that has written it.
	Updated time.Time `json:"updated"`
	// Replaced are the pieces of the inventory before that this one does not have.
	// They may still be read, so the next run deletes them.
	Replaced []string `json:"replaced,omitempty"`
}

// part is a part of an inventory.
type part struct {
	// Piece is the name of the content, empty if the part was never listed.
	Piece string `json:"piece,omitempty"`
	Blobs int    `json:"blobs,omitempty"`
	// Primary and Replicas are the starts of the last listings of these buckets.
	Primary  time.Time `json:"primary,omitzero"`
	Replicas time.Time `json:"replicas,omitzero"`
}

const (
	inventoryName = "inventory.json"
	piecePrefix   = "inventory/"

	// maxPart is about the maximum number of blobs in a part, unless there are
	// maxDigits.
	maxPart   = 1 << 16
	maxDigits = 2
	// smallPart is the number of blobs up to which a part is listed in every run,
	// because that costs two requests per bucket.
	smallPart = 2000

	// maxPartAge is the age that no part reaches.
	maxPartAge = config.IndexMaxAge - config.IndexMargin
	// turns is the number of turns in which the replicas are listed.
	turns = 4
	// minInterval is assumed to be the time between two runs if it was less.
	minInterval = time.Hour
)

// newInventory returns the inventory that a run begins with: the last one, unless its
// parts or buckets are others.
func newInventory(buckets []string, digits int, last *inventory) *inventory {
	inv := &inventory{Buckets: buckets, Digits: digits}
	if last != nil && last.Digits == digits && slices.Equal(last.Buckets, buckets) {
		inv.Parts = slices.Clone(last.Parts)
	} else {
		inv.Parts = make([]part, 1<<(4*digits))
	}
	return inv
}

// prefix returns the digits that the digests of a part have in common.
func (inv *inventory) prefix(i int) string {
	if inv.Digits == 0 {
		return ""
	}
	return fmt.Sprintf("%0*x", inv.Digits, i)
}

// partOf returns the part of a digest in an inventory with a number of Digits.
func partOf(d Digest, digits int) int { return int(d[0]) >> (8 - 4*digits) }

// withInventory calls read with the last inventory of the buckets, and once more if a piece
// is gone because there is another inventory by now. Without one it does not call read.
func (f *Filler) withInventory(ctx context.Context, read func(*inventory) error) error {
	for attempt := 1; ; attempt++ {
		inv, err := f.loadInventory(ctx)
		if err != nil || inv == nil || !slices.Equal(inv.Buckets, f.bucketNames()) {
			return err
		}
		if err = read(inv); !errors.Is(err, errPiece) || attempt == 2 {
			return err
		}
	}
}

// due returns the parts of which the replicas are listed in a run. Each part is listed
// before it would be too old for the index at the next run. The four turns of parts
// are kept apart, so that the load is spread.
func (inv *inventory) due(now time.Time, last *inventory) []bool {
	interval := minInterval
	if last != nil {
		interval = max(interval, now.Sub(last.Updated))
	}
	due := make([]bool, len(inv.Parts))
	for i, p := range inv.Parts {
		turn, age := i%turns, now.Sub(p.Replicas)
		together := turn > 0 && p.Replicas.Sub(inv.Parts[i-turn].Replicas).Abs() < minInterval/2
		due[i] = p.Piece == "" || p.Blobs <= smallPart || age+interval > maxPartAge ||
			together && age >= time.Duration(turn)*maxPartAge/turns
	}
	return due
}

// listed returns the age of the inventory: when its oldest part was listed.
func (inv *inventory) listed() (oldest time.Time) {
	for i, p := range inv.Parts {
		for _, t := range []time.Time{p.Primary, p.Replicas} {
			if i == 0 && oldest.IsZero() || t.Before(oldest) {
				oldest = t
			}
		}
	}
	return oldest
}

// blobs returns the number of blobs.
func (inv *inventory) blobs() (n int) {
	for _, p := range inv.Parts {
		n += p.Blobs
	}
	return n
}

// pieces returns the names of the pieces.
func (inv *inventory) pieces() map[string]bool {
	names := map[string]bool{}
	for _, p := range inv.Parts {
		names[p.Piece] = true
	}
	delete(names, "")
	return names
}

// digitsFor returns the Digits of an inventory of a number of blobs.
func digitsFor(blobs int) (digits int) {
	for n := maxPart; blobs > n && digits < maxDigits; n *= 16 {
		digits++
	}
	return digits
}

// bucketNames returns the names of the buckets.
func (f *Filler) bucketNames() []string {
	names := make([]string, len(f.Buckets))
	for i, b := range f.Buckets {
		names[i] = b.Name
	}
	return names
}

// loadInventory returns the last inventory, nil if there is none.
func (f *Filler) loadInventory(ctx context.Context) (*inventory, error) {
	data, err := f.State.Get(ctx, inventoryName)
	if err != nil || data == nil {
		return nil, err
	}
	inv := &inventory{}
	if err := json.Unmarshal(data, inv); err != nil || len(inv.Parts) != 1<<(4*inv.Digits) || inv.Digits > maxDigits {
		f.Log.Warn("the inventory is damaged, listing all buckets", "name", inventoryName)
		return nil, nil
	}
	return inv, nil
}

// errPiece is the error for a piece that does not exist or is damaged.
var errPiece = errors.New("a piece of the inventory is missing or damaged")

// piece returns the content of a part; the error is errPiece if it is to be listed.
func (f *Filler) piece(ctx context.Context, name string) (snapshot, error) {
	data, err := f.State.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	if data == nil || len(data)%entrySize != 0 || name[len(name)-pieceHash:] != hashOf(data) {
		return nil, errPiece
	}
	return data, nil
}

// pieceHash is the length of the hash at the end of the name of a piece.
const pieceHash = 32

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return fmt.Sprintf("%x", sum[:pieceHash/2])
}

// pieceName is the name of the content of a part.
func pieceName(digits, i int, s snapshot) string {
	return piecePrefix + strconv.Itoa(digits) + "-" + strconv.Itoa(i) + "-" + hashOf(s)
}
