package worldmap

import (
	"bytes"
	"fmt"
	"math"
)

// Style is the style sheet of the map: colours for light backgrounds and, where the
// viewer prefers them, for dark ones.
const Style = `.land{fill:#e3e7ec}.join{fill:none;stroke:#2f6fdb;stroke-opacity:.55;stroke-width:1.1}` +
	`.region{fill:#fff;stroke:#5b6675;stroke-width:1.2}.mirror{fill:#2f6fdb}.redirector{fill:none;stroke:#d9480f;stroke-width:1.6}` +
	`text{font:9px system-ui,sans-serif;fill:#1f2733}.key{font-size:11px}.halo{stroke:#fff;stroke-width:2.5;stroke-linejoin:round;paint-order:stroke}` +
	`@media(prefers-color-scheme:dark){.land{fill:#2b323c}.join{stroke:#7aa7ff}.region{fill:#14181d;stroke:#a3adba}.mirror{fill:#7aa7ff}` +
	`.redirector{stroke:#ff922b}text{fill:#e6eaf0}.halo{stroke:#14181d}}`

// keyHeight is the room for the legend below the map.
const keyHeight = 26

// SVG returns the map of regions as returned by [Regions], as a file of its own. The
// same regions give the same bytes.
func SVG(all []Region) []byte {
	var b bytes.Buffer
	begin(&b, all, Height+keyHeight, `xmlns="http://www.w3.org/2000/svg" `, "<style>"+Style+"</style>")
	draw(&b, all)
	key(&b)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// Element returns the map as an element of an HTML page that has [Style], without the
// legend. The group of each mirror has its region in the attribute data-mirror, and
// data-north is the latitude of the upper edge.
func Element(all []Region) []byte {
	var b bytes.Buffer
	begin(&b, all, Height, fmt.Sprintf(`data-north="%d" `, north), "")
	draw(&b, all)
	b.WriteString("</svg>")
	return b.Bytes()
}

func begin(b *bytes.Buffer, all []Region, height float64, attributes, style string) {
	fmt.Fprintf(b, `<svg %sviewBox="0 0 %d %.0f" role="img" aria-labelledby="t d">`, attributes, Width, height)
	fmt.Fprintf(b, `<title id="t">Which mirror serves which AWS region</title><desc id="d">%s</desc>%s`, describe(all), style)
}

func draw(b *bytes.Buffer, all []Region) {
	fmt.Fprintf(b, `<path class="land" d="%s"/>`, land)
	at := map[string]point{}
	for _, r := range all {
		x, y := Project(r.Point)
		at[r.Name] = point{x, y}
	}
	for _, r := range all {
		if r.Mirror != "" && r.Mirror != r.Name {
			join(b, at[r.Name], at[r.Mirror])
		}
	}
	var taken []box
	for _, r := range all {
		p := at[r.Name]
		taken = append(taken, box{p.x - 4, p.y - 4, p.x + 4, p.y + 4})
	}
	// Mirrors are drawn last, over regions at the same place.
	for _, mirrors := range []bool{false, true} {
		for _, r := range all {
			if (r.Mirror == r.Name) == mirrors {
				mark(b, r, at[r.Name])
			}
		}
	}
	for _, r := range all {
		if r.Mirror == r.Name {
			label(b, &taken, at[r.Name], r.Name)
		}
	}
}

func mark(b *bytes.Buffer, r Region, p point) {
	class, radius, serves, data := "region", 2.6, "served by the default mirror or the upstream", ""
	switch r.Mirror {
	case "":
	case r.Name:
		class, radius, serves, data = "mirror", 4, "has a mirror", ` data-mirror="`+r.Name+`"`
	default:
		serves = "served by the mirror in " + r.Mirror
	}
	fmt.Fprintf(b, `<g%s><title>%s (%s): %s</title>`, data, r.Name, r.Place, serves)
	if r.Redirector {
		fmt.Fprintf(b, `<circle class="redirector" cx="%.0f" cy="%.0f" r="6.5"/>`, p.x, p.y)
	}
	fmt.Fprintf(b, `<circle class="%s" cx="%.0f" cy="%.0f" r="%.1f"/></g>`, class, p.x, p.y, radius)
}

func describe(all []Region) string {
	mirrors := 0
	for _, r := range all {
		if r.Mirror == r.Name {
			mirrors++
		}
	}
	return fmt.Sprintf("A world map of %d AWS regions and %d mirrors. A line joins each region to the mirror that serves it, if one does.", len(all), mirrors)
}

type point struct{ x, y float64 }

// join draws a line that bends towards the north. Where the shorter way crosses
// the 180th meridian it is drawn at both edges of the map.
func join(b *bytes.Buffer, from, to point) {
	shift := 0.0
	switch {
	case to.x-from.x > Width/2:
		shift = -Width
	case from.x-to.x > Width/2:
		shift = Width
	}
	curve(b, from, point{to.x + shift, to.y})
	if shift != 0 {
		curve(b, point{from.x - shift, from.y}, to)
	}
}

func curve(b *bytes.Buffer, from, to point) {
	bend := math.Hypot(to.x-from.x, to.y-from.y) / 6
	fmt.Fprintf(b, `<path class="join" d="M%.0f %.0fQ%.0f %.0f %.0f %.0f"/>`, from.x, from.y, (from.x+to.x)/2, (from.y+to.y)/2-bend, to.x, to.y)
}

// box is a rectangle that is taken by a point or a label.
type box struct{ left, top, right, bottom float64 }

func (a box) overlaps(o box) bool {
	return a.left < o.right && o.left < a.right && a.top < o.bottom && o.top < a.bottom
}

// label writes a region's name at the first of a few places around its point where
// it covers nothing. Where all are taken, the name is in the point's title only.
func label(b *bytes.Buffer, taken *[]box, p point, name string) {
	const height = 9
	width := 4.9 * float64(len(name))
	for _, to := range []point{{8, 3}, {-8 - width, 3}, {-width / 2, -8}, {-width / 2, 15}, {7, -6}, {7, 12}, {-7 - width, -6}, {-7 - width, 12}} {
		x, y := p.x+to.x, p.y+to.y
		place := box{x - 1, y - height, x + width, y + 2}
		free := place.left >= 0 && place.right <= Width && place.top >= 0 && place.bottom <= Height
		for _, o := range *taken {
			free = free && !place.overlaps(o)
		}
		if free {
			*taken = append(*taken, place)
			fmt.Fprintf(b, `<text class="halo" x="%.0f" y="%.0f">%s</text>`, x, y, name)
			return
		}
	}
}

func key(b *bytes.Buffer) {
	y := Height + keyHeight/2
	fmt.Fprintf(b, `<circle class="mirror" cx="14" cy="%[1]d" r="4"/><text class="key" x="24" y="%[2]d">mirror</text>`+
		`<circle class="region" cx="84" cy="%[1]d" r="2.6"/><text class="key" x="93" y="%[2]d">AWS region, joined to the mirror that serves it</text>`+
		`<circle class="redirector" cx="384" cy="%[1]d" r="6.5"/><text class="key" x="396" y="%[2]d">redirector</text>`, int(y), int(y)+4)
}
