// Package field parses header fields of a registry: challenges and links. It skips or
// reports what it cannot read, and is total: for every field it returns something.
package field

import (
	"net/http"
	"strings"
)

// Challenge is one of a WWW-Authenticate header. RFC 9110, section 11.6.1.
type Challenge struct {
	Scheme string // in lower case
	// Params are by name in lower case. If a name is there twice, the first value
	// counts.
	Params map[string]string
}

// maxChallenges limits how many challenges of a response are read.
const maxChallenges = 16

// Challenges parses the WWW-Authenticate headers of a response: several fields,
// and several challenges in a field. It skips what it cannot read.
func Challenges(header http.Header) []Challenge {
	var out []Challenge
	for _, value := range header.Values("Www-Authenticate") {
		inField := len(out) // parameters belong to a challenge of the same field
		for p := (scanner{value}); p.rest != ""; {
			p.skip(" \t,")
			word := strings.ToLower(p.token())
			if word == "" {
				p.drop()
				continue
			}
			p.skip(" \t")
			if !strings.HasPrefix(p.rest, "=") {
				if len(out) == maxChallenges {
					return out
				}
				out = append(out, Challenge{Scheme: word, Params: map[string]string{}})
				continue
			}
			p.drop()
			p.skip(" \t")
			text := p.value(",")
			if len(out) == inField {
				continue
			}
			params := out[len(out)-1].Params
			if _, twice := params[word]; !twice {
				params[word] = text
			}
		}
	}
	return out
}
