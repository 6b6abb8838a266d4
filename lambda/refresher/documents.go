package refresher

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"archeio/ranges"
	"archeio/ranges/compile"
)

// Notice is what AWS publishes when its addresses change. Its URL is not read.
// https://docs.aws.amazon.com/vpc/latest/userguide/subscribe-notifications.html
type Notice struct {
	// Token is the time of publication in seconds since 1970.
	Token int64
	// MD5 is that of the document, in hexadecimal digits.
	MD5 string
}

// ParseNotice reads the message of a notice.
func ParseNotice(message string) (*Notice, error) {
	var in struct {
		SyncToken string `json:"synctoken"`
		MD5       string `json:"md5"`
	}
	if err := json.Unmarshal([]byte(message), &in); err != nil {
		return nil, errors.New("decoding the notice of AWS: want JSON with synctoken and md5")
	}
	token, err := strconv.ParseInt(in.SyncToken, 10, 64)
	if err != nil || token <= 0 {
		return nil, fmt.Errorf("decoding the notice of AWS: synctoken %.40q: want seconds since 1970", in.SyncToken)
	}
	if b, err := hex.DecodeString(in.MD5); err != nil || len(b) != md5.Size {
		return nil, fmt.Errorf("decoding the notice of AWS: md5 %.40q: want 32 hexadecimal digits", in.MD5)
	}
	return &Notice{token, in.MD5}, nil
}

// check returns an error if the document of AWS is not the one of the notice, or a
// later one: notices may arrive out of order, and the document may still be cached
// somewhere.
func (n *Notice) check(d compile.Document, text []byte) error {
	switch sum := md5.Sum(text); {
	case d.Date.Unix() < n.Token:
		return fmt.Errorf("the document of AWS has the token %d, older than that of the notice, %d: will retry", d.Date.Unix(), n.Token)
	case d.Date.Unix() == n.Token && hex.EncodeToString(sum[:]) != n.MD5:
		return errors.New("the document of AWS does not have the md5 of the notice: will retry")
	}
	return nil
}

// fetched are the documents of a run.
type fetched struct {
	documents []compile.Document
	notes     []string
	// unreadable are the clouds with a document of an unknown form.
	unreadable []string
	// awsRead is whether there is a document of AWS.
	awsRead bool
	// retry is an error after which the run is repeated, because a notice came and
	// its document could not be fetched.
	retry error
}

// documents fetches the documents of all clouds. One that cannot be fetched or read is
// replaced by what the last table has of it. It returns an error if a document does not
// belong to the notice, or if there is none of a cloud at all.
func (r *Refresher) documents(ctx context.Context, before ranges.Table, notice *Notice) (fetched, error) {
	type read struct {
		document          compile.Document
		text              []byte
		fetchErr, formErr error
	}
	var all [len(compile.Providers)]read
	var group sync.WaitGroup
	for i, p := range compile.Providers {
		group.Go(func() {
			x := &all[i]
			var name string
			if name, x.text, x.fetchErr = r.Fetch(ctx, p); x.fetchErr == nil {
				x.document, x.formErr = p.Parse(name, x.text)
			}
		})
	}
	group.Wait()
	var f fetched
	for i, p := range compile.Providers {
		x := all[i]
		err := x.fetchErr
		if err == nil {
			err = x.formErr
		}
		if err == nil {
			if p.Cloud == ranges.AWS {
				f.awsRead = true
				if notice != nil {
					if err := notice.check(x.document, x.text); err != nil {
						return fetched{}, err
					}
				}
			}
			f.documents = append(f.documents, x.document)
			continue
		}
		if x.formErr != nil {
			f.unreadable = append(f.unreadable, string(p.Cloud))
		}
		if p.Cloud == ranges.AWS && notice != nil {
			f.retry = err
		}
		kept, ok := compile.Keep(before, p.Cloud)
		if !ok {
			return fetched{}, err
		}
		note := fmt.Sprintf("%s: using the last document, %s: %v", p.Cloud, kept.Version, err)
		r.Log.Warn("document of IP ranges not used", "cloud", string(p.Cloud), "kept", kept.Version, "error", err.Error())
		f.notes = append(f.notes, note)
		f.documents = append(f.documents, kept)
	}
	return f, nil
}
