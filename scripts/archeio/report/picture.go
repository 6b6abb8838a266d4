package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"unicode/utf8"

	"archeio/lambda/metrics"
	"archeio/ranges"
)

// Measures of the picture in pixels of its own size.
const (
	pictureWidth = 840
	nameWidth    = 290 // of the column of names
	longestName  = 38  // in characters
	countWidth   = 80
	rowHeight    = 26
	headHeight   = 78
)

// pictureStyle has the colors of GitHub's two themes. The classes c0, c1, … are the
// clouds in the order of ranges.Clouds, then unknown clients.
const pictureStyle = `text{font:14px -apple-system,BlinkMacSystemFont,"Segoe UI","Noto Sans",Helvetica,Arial,sans-serif;fill:#1f2328}
.title{font-size:18px;font-weight:600}.muted{fill:#59636e}
.c0{fill:#d9730d}.c1{fill:#2c9a5b}.c2{fill:#2f6fdb}.c3{fill:#c9408d}.c4{fill:#8b949e}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.muted{fill:#9198a1}
.c0{fill:#ee9445}.c1{fill:#45b877}.c2{fill:#7aa7ff}.c3{fill:#e56fb0}.c4{fill:#768390}}
`

// clouds returns the names of clouds in logs, in the order of their colors.
func clouds() []string {
	var all []string
	for _, c := range ranges.Clouds {
		all = append(all, string(c))
	}
	return append(all, metrics.UnknownCloud)
}

// picture draws the most requested repositories as bars, divided by cloud.
func picture(title string, images []image) []byte {
	images = images[:min(len(images), shown)]
	height := headHeight + rowHeight*max(1, len(images)) + 12
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="t"><title id="t">%s</title><style>%s</style>`,
		pictureWidth, height, escaped(title), pictureStyle)
	fmt.Fprintf(&b, `<text class="title" x="0" y="22">%s</text>`, escaped(title))
	for i, cloud := range clouds() {
		x := i * 110
		fmt.Fprintf(&b, `<rect class="c%d" x="%d" y="42" width="12" height="12" rx="2"/><text class="muted" x="%d" y="53">%s</text>`, i, x, x+18, cloud)
	}
	if len(images) == 0 {
		fmt.Fprintf(&b, `<text x="0" y="%d">no data</text>`, headHeight+18)
	}
	const bars = pictureWidth - nameWidth - countWidth
	for row, i := range images {
		y := headHeight + row*rowHeight
		fmt.Fprintf(&b, `<g><title>%s: %s</title><text x="0" y="%d">%s</text>`, escaped(i.Repository), escaped(counts(i.Regions, 10)), y+15, escaped(shortened(i.Repository)))
		x := float64(nameWidth)
		for c, cloud := range clouds() {
			width := bars * float64(i.Clouds[cloud]) / float64(images[0].Requests)
			if width > 0 {
				fmt.Fprintf(&b, `<rect class="c%d" x="%.1f" y="%d" width="%.1f" height="18"/>`, c, x, y, width)
			}
			x += width
		}
		fmt.Fprintf(&b, `<text class="muted" x="%.1f" y="%d">%d</text></g>`, x+8, y+14, i.Requests)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// shortened returns the end of a long name, which tells repositories apart.
func shortened(name string) string {
	if utf8.RuneCountInString(name) <= longestName {
		return name
	}
	runes := []rune(name)
	return "…" + string(runes[len(runes)-longestName+1:])
}

func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text))
	return b.String()
}
