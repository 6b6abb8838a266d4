package constructs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"archeio/infra/stage"
	"archeio/ranges/regions"
)

// edgeLimit is CloudFront's limit for the code of a function in bytes.
const edgeLimit = 10 * 1024

func TestViewerRequestCode(t *testing.T) {
	t.Parallel()
	for _, s := range append(edgeStages(t), oddStages...) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			code := edgeCode(t, s)
			t.Logf("%d bytes", len(code))
			if len(code) > edgeLimit {
				t.Errorf("%d bytes, CloudFront allows %d", len(code), edgeLimit)
			}
			if strings.Contains(code, "/*") {
				t.Errorf("there is a placeholder left in\n%s", code)
			}
			// A second deployment must not change it.
			if code != edgeCode(t, s) {
				t.Error("the code is not deterministic")
			}
			if used := beyondRuntime(code); used != nil {
				t.Errorf("cloudfront-js-2.0 does not have %q", used)
			}
		})
	}
}

// The module is not imported without a choice of origins: the AWS emulator does not
// have it.
func TestViewerRequestImport(t *testing.T) {
	t.Parallel()
	const line = "import cf from 'cloudfront';\n"
	several := 0
	for _, s := range append(edgeStages(t), oddStages...) {
		code := edgeCode(t, s)
		want := len(s.Mirrors) > 1 || len(s.Redirectors) > 1
		if want {
			several++
		}
		if strings.HasPrefix(code, line) != want || strings.Contains(strings.TrimPrefix(code, line), "import") {
			t.Errorf("stage %s with %d mirrors and %d redirectors begins with %q", s.Name, len(s.Mirrors), len(s.Redirectors), code[:len(line)])
		}
	}
	if several == 0 {
		t.Error("no stage has a choice of origins")
	}
}

func TestViewerRequestSmallestStage(t *testing.T) {
	t.Parallel()
	all := edgeStages(t)
	i := slices.IndexFunc(all, func(s *stage.Stage) bool { return s.Name == "smallest" })
	if i < 0 || choice(all[i]) {
		t.Fatal("cdk.json has no stage smallest with one region")
	}
	var requests []edgeRequest
	for country := range regions.Countries() {
		requests = append(requests, edgeFrom(country, edgeBlob), edgeFrom(country, edgeManifest))
	}
	for i, o := range runAtEdge(t, all[i], requests...) {
		if len(o.Calls) != 0 {
			t.Errorf("%v: calls %+v, want none", requests[i], o.Calls)
		}
	}
}

// names returns n regions; those after the first are invented, of the given length.
func names(n, length int) []string {
	all := []string{"us-east-1"}
	for i := 1; i < n; i++ {
		all = append(all, fmt.Sprintf("%0*d", length, i))
	}
	return all
}

func TestViewerRequestQuotas(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                 string
		mirrors, redirectors []string
		want                 []string // parts of the error, nil for none
	}{
		{"most-origins", names(64, 9), names(36, 9), nil},
		{"most-redirectors", names(36, 9), names(64, 9), nil},
		{"too-many-origins", names(60, 9), names(41, 9), []string{`stage "large"`, "too many origins: 60 mirrors and 41 redirectors", "at most 100 together"}},
		{"too-many-mirrors", names(65, 9), names(1, 9), []string{`stage "large"`, "65 mirrors and 1 redirectors", "and 64 of each"}},
		{"too-many-redirectors", names(1, 9), names(65, 9), []string{`stage "large"`, "1 mirrors and 65 redirectors", "and 64 of each"}},
		{"too-long", names(64, 120), names(1, 9), []string{`stage "large"`, "bytes", "CloudFront allows 10240", "configure fewer mirrors and redirectors"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, err := ViewerRequest(&stage.Stage{Name: "large", Mirrors: tt.mirrors, Primary: tt.mirrors[0], Redirectors: tt.redirectors})
			if (err != nil) != (tt.want != nil) || (code == "") != (tt.want != nil) {
				t.Fatalf("%d bytes, error %v, want %q", len(code), err, tt.want)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q, want %q in it", err, part)
				}
			}
		})
	}
}

func TestViewerRequestLimitToTheByte(t *testing.T) {
	t.Parallel()
	with := func(length int) (string, error) {
		return ViewerRequest(&stage.Stage{Name: "large", Mirrors: names(2, length), Primary: "us-east-1", Redirectors: names(1, 1)})
	}
	code, err := with(9)
	if err != nil {
		t.Fatal(err)
	}
	fits := 9 + edgeLimit - len(code)
	if code, err := with(fits); err != nil || len(code) != edgeLimit {
		t.Errorf("%d bytes, error %v, want %d", len(code), err, edgeLimit)
	}
	if _, err := with(fits + 1); err == nil {
		t.Errorf("%d bytes: no error", edgeLimit+1)
	}
}

// A stage with a mirror and a redirector in every region is within the limit.
func TestViewerRequestEveryRegion(t *testing.T) {
	t.Parallel()
	s := &stage.Stage{Name: "everywhere", Primary: "us-east-1"}
	for r := range regions.All("AWS") {
		if r.Partition != "aws" {
			continue
		}
		// A region without coordinates would be at 0, 0.
		if !r.Located {
			t.Errorf("%s has no coordinates", r.Name)
		}
		s.Mirrors = append(s.Mirrors, r.Name)
	}
	s.Redirectors = s.Mirrors
	t.Logf("%d regions, %d bytes", len(s.Mirrors), len(edgeCode(t, s)))
}

// beyond matches JavaScript that the runtime does not support, by its documentation.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-javascript-runtime-20.html
var beyond = regexp.MustCompile(strings.Join([]string{
	`\b(?:class|extends|super|yield|export|with|debugger|async|await|require|eval|Symbol|Proxy|Reflect|BigInt|Map|Set|WeakMap|WeakSet|Intl)\b`,
	`\bimport\b`,
	`\b(?:setTimeout|setInterval|setImmediate|fetch|process|structuredClone)\b`,
	`\bnew Function\b`,
	`\bfor\s*\([^;()]*\sof\s`,
	`\bfunction\s*\*`,
	`\bfunction\s*\w*\([^)]*[={\[]`, // default values, destructuring
	`\([^()]*[={\[][^()]*\)\s*=>`,   // the same for arrow functions
	`\b(?:const|let|var)\s*[{\[]`,   // destructuring
	`[{]\s*\w+\s*[,}]`,              // { name } for { name: name }
	`\bcatch\s*\{`,                  // without (e)
	`\.\.\.`,                        // rest is listed, spread is not
	`\?\.[^0-9]|\?\?|\|\|=|&&=`,     // optional chaining and logical assignment
	`#\w|\b\d+n\b|\d_\d`,            // private names, BigInt, separators
	`\.(?:at|flat|flatMap|fromEntries|hasOwn|findLast|findLastIndex|toSorted|toReversed|toSpliced|groupBy)\b`,
}, "|"))

// literals matches strings, comments and regular expressions, which are ignored.
var literals = regexp.MustCompile(`'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|//[^\n]*|[(,=:?]\s*/(?:[^/\\\n\[]|\\.|\[[^\]\n]*\])+/[a-z]*`)

func beyondRuntime(code string) []string {
	code = strings.TrimPrefix(code, "import cf from 'cloudfront';\n")
	code = literals.ReplaceAllStringFunc(code, func(s string) string {
		if strings.HasPrefix(s, "//") {
			return ""
		}
		return strings.Trim(s[:1], `'"`) + "0"
	})
	return beyond.FindAllString(code, -1)
}

func TestBeyondRuntime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, code string }{
		{"class", "class A {}"},
		{"for-of", "for (const a of b) {}"},
		{"spread", "f(...a);"},
		{"chaining", "const a = b?.c;"},
		{"nullish", "const a = b ?? c;"},
		{"destructuring", "const { a, b } = c;"},
		{"destructuring-array", "let [a, b] = c;"},
		{"destructuring-parameter", "const f = ({ a: b }) => b;"},
		{"default", "function f(a = 1) {}"},
		{"default-arrow", "const f = (a = 1) => a;"},
		{"shorthand", "f({ a });"},
		{"catch", "try { f(); } catch { g(); }"},
		{"generator", "function* f() {}"},
		{"async", "async function handler(event) {}"},
		{"import", "import crypto from 'crypto';"},
		{"eval", "eval('1');"},
		{"timer", "setTimeout(f, 1);"},
		{"separator", "const a = 1_000;"},
		{"large", "const a = 10n;"},
		{"assignment", "a ||= b;"},
		{"method", "const a = b.at(-1);"},
		{"after-a-text", "const a = 'it\\'s'; const b = c?.d;"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if beyondRuntime(tt.code) == nil {
				t.Errorf("%q passes", tt.code)
			}
		})
	}
	for _, code := range []string{
		"const a = 'class ... ?. {a}'; // await ...", `let a = b ? .5 : c;`, "x.map((a, b) => [a, b]);",
		"const f = /[?.]+\\/(?:a)?/.test(a);", "for (const a in b) { c(); }", "try { f(); } catch (e) { }", "const a = {b: c};",
	} {
		if used := beyondRuntime(code); used != nil {
			t.Errorf("%q is rejected for %q", code, used)
		}
	}
}
