package relay

import (
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// addressMargin is how long before its end a signed address is no longer passed on.
	addressMargin = time.Minute
	// maxAddressAge limits how long one is passed on, whatever it says.
	maxAddressAge = time.Hour
)

// remaining returns how long a signed address may be passed on, 0 if it does not say so
// in a known way. The time is measured from the upstream's own clock where its response
// has that, because ours may be wrong.
func remaining(address *url.URL, header http.Header, now time.Time) time.Duration {
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	query, err := url.ParseQuery(address.RawQuery)
	if err != nil {
		return 0
	}
	left, found := maxAddressAge, false
	limit := func(d time.Duration) {
		left, found = min(left, d-addressMargin), true
	}
	for name, values := range query {
		if len(values) > 1 && (signedAt(name) != "" || name == "Expires" || name == "se") {
			return 0
		}
		value := values[0]
		switch {
		case signedAt(name) != "": // seconds from a date
			seconds, err := strconv.Atoi(value)
			if err != nil || seconds < 0 || seconds > 1<<30 {
				return 0
			}
			life := time.Duration(seconds) * time.Second
			limit(life)
			// A proxy of the storage may have cached the address.
			signed, err := time.Parse("20060102T150405Z", query.Get(signedAt(name)))
			if err != nil {
				return 0
			}
			limit(signed.Add(life).Sub(now))
		case name == "Expires": // seconds since 1970: CloudFront, S3 and GCS with older signatures
			seconds, err := strconv.ParseInt(value, 10, 64)
			if err != nil || seconds < 0 || seconds > 1<<40 {
				return 0
			}
			limit(time.Unix(seconds, 0).Sub(now))
		case name == "se": // Azure
			end, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return 0
			}
			limit(end.Sub(now))
		}
	}
	if !found {
		return 0
	}
	return max(0, left)
}

// signsMethod reports whether the signature of an address is for one method, as those of S3
// and GCS are. Those of CloudFront and Azure are not.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
// https://cloud.google.com/storage/docs/authentication/canonical-requests
func signsMethod(address *url.URL) bool {
	query := address.Query()
	for _, name := range []string{"X-Amz-Signature", "AWSAccessKeyId", "X-Goog-Signature", "GoogleAccessId"} {
		if query.Has(name) {
			return true
		}
	}
	return false
}

// signedAt returns the parameter with the date of a signature, for the parameter with its
// lifetime in seconds; empty for any other parameter.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
// https://cloud.google.com/storage/docs/authentication/canonical-requests
func signedAt(lifetime string) string {
	switch lifetime {
	case "X-Amz-Expires":
		return "X-Amz-Date"
	case "X-Goog-Expires":
		return "X-Goog-Date"
	}
	return ""
}
