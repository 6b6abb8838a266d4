package capacity

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Measures of the picture in pixels of its own size.
const (
	pictureWidth = 840
	margin       = 20
	barWidth     = pictureWidth - 2*margin
	barHeight    = 40

	alonePosition = 106 // top of the bar of the upstream alone
	withPosition  = 188 // top of the bar with the mirrors
	zoomPosition  = 262 // top of that bar, enlarged
	keyPosition   = 332 // baseline of the first line of the key

	keyColumns   = 3
	keyRowHeight = 26
)

// pictureStyle has the colors of GitHub's two themes. The classes s0, s1, … are
// services in the order of the price list.
const pictureStyle = `text{font:14px -apple-system,BlinkMacSystemFont,"Segoe UI","Noto Sans",Helvetica,Arial,sans-serif;fill:#1f2328}
.title{font-size:20px;font-weight:600}.strong{font-weight:600}.muted{fill:#59636e}.small{font-size:12px}
.saved{fill:none;stroke:#818b98;stroke-dasharray:4 4}.zoom{fill:#818b98;opacity:.15}
.s0{fill:#7b61d1}.s1{fill:#d9730d}.s2{fill:#2c9a5b}.s3{fill:#7fa21b}.s4{fill:#c9408d}.s5{fill:#2a8fa8}.s6{fill:#8b949e}.s7{fill:#b35900}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.muted{fill:#9198a1}
.s0{fill:#9d86ee}.s1{fill:#ee9445}.s2{fill:#45b877}.s3{fill:#a3c63f}.s4{fill:#e56fb0}.s5{fill:#4db3cc}.s6{fill:#768390}.s7{fill:#f0b072}}
`

// part is the cost of one service.
type part struct {
	service, class string
	dollars        float64
}

// parts returns the services of a bill that cost anything, the most expensive
// first.
func parts(bill []Line) []part {
	var all []part
	for i, name := range services() {
		if d := Total(bill, name); d > 0 {
			all = append(all, part{name, fmt.Sprint("s", i), d})
		}
	}
	slices.SortStableFunc(all, func(a, b part) int { return cmp.Compare(b.dollars, a.dollars) })
	return all
}

// services returns the services of the price list, in its order.
func services() []string {
	var all []string
	for _, p := range Prices {
		if !slices.Contains(all, p.Service) {
			all = append(all, p.Service)
		}
	}
	return all
}

// draw returns a picture as SVG of what the upstream alone costs and what a
// registry with mirrors costs, by service.
func draw(r Result) []byte {
	var b bytes.Buffer
	ps := parts(r.Bill)
	header(&b, r, ps)

	// The total is never 0: a region with a redirector has metrics that cost.
	scale := barWidth / max(r.UpstreamAlone, r.Total)
	alone, with := r.UpstreamAlone*scale, r.Total*scale
	upstream := fmt.Sprint("s", slices.Index(services(), UpstreamOut.Service))

	label(&b, alonePosition, "The upstream alone", rounded(r.UpstreamAlone))
	bar(&b, 0, alonePosition, []part{{class: upstream, dollars: r.UpstreamAlone}}, scale)

	label(&b, withPosition, "With archeio", rounded(r.Total))
	bar(&b, 1, withPosition, ps, scale)
	if left := alone - with; left >= 200 { // as wide as the text
		x := margin + with
		fmt.Fprintf(&b, `<rect class="saved" x="%s" y="%s" width="%s" height="%d" rx="4"/>`+"\n", px(x+6), px(withPosition+.5), px(left-6.5), barHeight-1)
		fmt.Fprintf(&b, `<text class="strong" x="%s" y="%d" text-anchor="middle">saves %s (%.0f%%)</text>`+"\n", px(x+left/2), withPosition+barHeight/2+5, rounded(r.Saved), 100*r.Saved/r.UpstreamAlone)
	}

	fmt.Fprintf(&b, `<path class="zoom" d="M%d %dH%sL%d %dH%dZ"/>`+"\n", margin, withPosition+barHeight+3, px(margin+with), margin+barWidth, zoomPosition-3, margin)
	fmt.Fprintf(&b, `<text class="muted small" x="%d" y="%d" text-anchor="end">enlarged, by service</text>`+"\n", margin+barWidth, zoomPosition-15)
	bar(&b, 2, zoomPosition, ps, barWidth/r.Total)
	for i, p := range ps {
		x, y := margin+i%keyColumns*(barWidth/keyColumns), keyPosition+i/keyColumns*keyRowHeight
		fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%d" width="12" height="12" rx="2"/>`, p.class, x, y-11)
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s <tspan class="strong">%s</tspan></text>`+"\n", x+20, y, p.service, rounded(p.dollars))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// header writes everything above the bars, and the description for screen readers.
func header(b *bytes.Buffer, r Result, ps []part) {
	rows := (len(ps) + keyColumns - 1) / keyColumns
	height := keyPosition + rows*keyRowHeight - 6
	var blobBytes float64
	for _, p := range r.Quantities.Paths[:blobPaths] {
		blobBytes += p.Bytes
	}
	title := fmt.Sprintf("%s a month for %s instead of %s", si(blobBytes, "B"), rounded(r.Total), rounded(r.UpstreamAlone))
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title desc">`+"\n", pictureWidth, height, pictureWidth, height)
	fmt.Fprintf(b, "<title id=\"title\">%s</title>\n<desc id=\"desc\">The upstream alone costs %s; with archeio it is %s", title, rounded(r.UpstreamAlone), rounded(r.Total))
	for i, p := range ps {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(b, "%s%s %s", sep, p.service, rounded(p.dollars))
	}
	fmt.Fprintf(b, ".</desc>\n<style>\n%s</style>\n", pictureStyle)
	for i, top := range []int{alonePosition, withPosition, zoomPosition} {
		fmt.Fprintf(b, `<clipPath id="bar%d"><rect x="%d" y="%d" width="%d" height="%d" rx="4"/></clipPath>`+"\n", i, margin, top, barWidth, barHeight)
	}
	fmt.Fprintf(b, `<text class="title" x="%d" y="36">%s</text>`+"\n", margin, title)
	fmt.Fprintf(b, `<text class="muted" x="%d" y="60">%s pulls a month. Modelled at list prices of %s, in US dollars.</text>`+"\n", margin, inWords(r.Assumed["pulls"]), PricesDate)
}

// label writes the name and the amount of a bar above it.
func label(b *bytes.Buffer, top int, name, amount string) {
	fmt.Fprintf(b, `<text x="%d" y="%d">%s <tspan class="strong">%s</tspan></text>`+"\n", margin, top-9, name, amount)
}

// bar draws parts next to each other, at a scale of pixels per dollar and with the
// rounded corners of a clip path.
func bar(b *bytes.Buffer, clip, top int, ps []part, scale float64) {
	fmt.Fprintf(b, `<g clip-path="url(#bar%d)">`, clip)
	x := float64(margin)
	for _, p := range ps {
		width := p.dollars * scale
		fmt.Fprintf(b, `<rect class="%s" x="%s" y="%d" width="%s" height="%d"/>`, p.class, px(x), top, px(width), barHeight)
		x += width
	}
	b.WriteString("</g>\n")
}

// px formats a position or a length, with at most two decimals.
func px(v float64) string {
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}

// rounded formats an amount with three significant digits, and with cents if it is
// below 100.
func rounded(v float64) string {
	if math.Abs(v) >= 1000 {
		unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
		v = math.Round(v/unit) * unit
	}
	return "$" + dollars(v)
}

// inWords formats a count, such as 400 million.
func inWords(v float64) string {
	for _, w := range []struct {
		size float64
		name string
	}{{1e12, "trillion"}, {1e9, "billion"}, {1e6, "million"}} {
		if v >= w.size {
			return fmt.Sprintf("%.3g %s", v/w.size, w.name)
		}
	}
	return plain(v)
}
