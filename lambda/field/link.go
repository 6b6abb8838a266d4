package field

import "strings"

// Link is one of a Link header. RFC 8288, section 3.
type Link struct {
	Target string
	// Rel has the relation types in lower case. HasRel reports whether there is a
	// parameter rel.
	Rel    string
	HasRel bool
}

// Is reports whether a link has a relation type, which must be in lower case.
func (l *Link) Is(rel string) bool {
	for _, word := range strings.Fields(l.Rel) {
		if word == rel {
			return true
		}
	}
	return false
}

// maxLinks limits how many links of a field are read.
const maxLinks = 64

// Links parses a Link header field, which may have several links. It reports false if
// the field cannot be read or has too many.
func Links(field string) ([]Link, bool) {
	var out []Link
	for p := (scanner{field}); ; {
		p.skip(" \t,")
		if p.rest == "" {
			return out, true
		}
		end := strings.IndexByte(p.rest, '>')
		if p.rest[0] != '<' || end < 0 || len(out) == maxLinks {
			return nil, false
		}
		l := Link{Target: strings.TrimSpace(p.rest[1:end])}
		p.rest = p.rest[end+1:]
		for p.skip(" \t"); strings.HasPrefix(p.rest, ";"); p.skip(" \t") {
			p.skip("; \t")
			key := strings.ToLower(p.token())
			p.skip(" \t")
			text := ""
			if strings.HasPrefix(p.rest, "=") {
				p.drop()
				p.skip(" \t")
				text = p.value(",;")
			}
			if key == "rel" && !l.HasRel { // the first one counts
				l.Rel, l.HasRel = strings.ToLower(text), true
			}
		}
		if p.rest != "" && p.rest[0] != ',' {
			return nil, false
		}
		out = append(out, l)
	}
}
