package registry

import (
	"net/http"
	"strings"
)

// challenge is one of a WWW-Authenticate header. RFC 9110, section 11.6.1.
type challenge struct {
	scheme string // in lower case
	params map[string]string
}

// maxChallenges limits how many challenges of a response are read.
const maxChallenges = 16

// challenges parses the WWW-Authenticate headers of a response: several fields,
// and several challenges in a field. It skips what it cannot read.
func challenges(header http.Header) []challenge {
	var out []challenge
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
				out = append(out, challenge{scheme: word, params: map[string]string{}})
				continue
			}
			p.drop()
			p.skip(" \t")
			text := p.value(",")
			if len(out) == inField {
				continue
			}
			params := out[len(out)-1].params
			if _, twice := params[word]; !twice {
				params[word] = text
			}
		}
	}
	return out
}
