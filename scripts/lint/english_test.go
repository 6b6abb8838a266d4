package lint

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"testing"

	"archeio/lambda/build"
)

// phrases are what code, messages and documents must not say, each with what to
// write instead.
var phrases = []struct{ pattern, instead string }{
	{`\banew\b`, "again"},
	{`\bmeanwhile\b`, "while"},
	{`\bbeside\b`, "next to, in addition to, or with"},
	{`\bas far as\b`, "a shorter sentence"},
	{`\bbe it\b`, "a shorter sentence"},
	{`\b(some|any|no)body\b`, "the role: operator, client, user"},
	{`\bpeople\b`, "the role: operator, client, user"},
	{`\b(is|are) none that\b|\bnames none\b|\bis no [a-z]+ of (the|this|ours)\b`, "unknown, invalid or missing X"},
	{`\bof no use\b|\bha(s|ve) no use\b`, "has no effect unless"},
	{`\b(tells?|told) whether\b`, "reports whether"},
	{`\bhand(s|ed|ing)? out\b`, "enqueue, dispatch"},
	{`\black(s|ed|ing)\b`, "missing, does not have"},
	{`\bdie[sd]?\b|\bdying\b`, "fails, is unavailable"},
	{`\bforg(et|ot|etting|otten|ets)\b`, "invalidate, drop"},
	{`\bremember(s|ed|ing)?\b`, "cache, state, record"},
	{`\bspoil(s|ed|t|ing)?\b`, "invalidates, breaks"},
	{`\blearnt?(ed|s|ing)?\b`, "cache, state, record"},
	{`\bbelieve[sd]?\b`, "trust"},
	{`\ba dead (mirror|upstream|bucket|region|server)\b`, "an unavailable one"},
	{`\bin a hurry\b|\bput(s|ting)? right\b|\bcannot say\b|\bcould not say\b`, "a plainer sentence"},
}

// urls are not written by us.
var urls = regexp.MustCompile(`https?://[^\s)]+`)

// verbs are what a doc comment must not say of what it documents.
var verbs = regexp.MustCompile(`^\w+ (answers|tells|says|asks|takes|knows|plays|lives|remembers|learns)\b`)

// exempt are files that quote what others write.
var exempt = map[string]bool{"scripts/lint/english_test.go": true}

// TestEnglish holds the patterns of the language that a program can find.
func TestEnglish(t *testing.T) {
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	banned := make([]*regexp.Regexp, len(phrases))
	parts := make([][]string, len(phrases))
	for i, p := range phrases {
		banned[i] = regexp.MustCompile(p.pattern)
		parsed, err := syntax.Parse(p.pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		if parts[i] = literals(parsed); parts[i] == nil {
			t.Errorf("pattern %q: no literal text in each of its matches", p.pattern)
		}
	}
	check := func(place, text string) {
		text = strings.ToLower(text)
		if strings.Contains(text, "://") {
			text = urls.ReplaceAllString(text, "")
		}
		for i, p := range phrases {
			// Most texts have no part of any phrase, which is found out faster.
			if !slices.ContainsFunc(parts[i], func(part string) bool { return strings.Contains(text, part) }) {
				continue
			}
			if found := banned[i].FindString(text); found != "" {
				t.Errorf("%s: %q: write %s", place, found, p.instead)
			}
		}
	}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			switch entry.Name() {
			case ".git", ".build", "cdk.out", "events", "fuzz", "node_modules":
				return fs.SkipDir
			}
			return nil
		}
		switch ext := filepath.Ext(name); {
		case exempt[name]:
		case ext == ".go":
			checkGo(t, path, name, check)
		case ext == ".md", ext == ".yml", ext == ".yaml", ext == ".js", name == "Makefile", name == ".ci/run":
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i, line := range strings.Split(string(text), "\n") {
				check(name+":"+strconv.Itoa(i+1), line)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// literals returns texts of which each match of an expression has at least one, or nil
// if there are none.
func literals(e *syntax.Regexp) []string {
	switch e.Op {
	case syntax.OpLiteral:
		return []string{string(e.Rune)}
	case syntax.OpCapture:
		return literals(e.Sub[0])
	case syntax.OpConcat: // those of the part with the longest
		var best []string
		for _, sub := range e.Sub {
			if l := literals(sub); l != nil && (best == nil || shortest(l) > shortest(best)) {
				best = l
			}
		}
		return best
	case syntax.OpAlternate: // those of all alternatives
		var all []string
		for _, sub := range e.Sub {
			l := literals(sub)
			if l == nil {
				return nil
			}
			all = append(all, l...)
		}
		return all
	}
	return nil
}

// shortest returns the length of the shortest text.
func shortest(texts []string) int {
	return len(slices.MinFunc(texts, func(a, b string) int { return cmp.Compare(len(a), len(b)) }))
}

// checkGo looks at the comments and string literals of a file, and at the verbs of
// its doc comments.
func checkGo(t *testing.T, path, name string, check func(place, text string)) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	at := func(pos token.Pos) string { return name + ":" + strconv.Itoa(set.Position(pos).Line) }
	for _, group := range file.Comments {
		check(at(group.Pos()), strings.Join(strings.Fields(group.Text()), " "))
	}
	doc := func(group *ast.CommentGroup) {
		if found := verbs.FindString(group.Text()); found != "" {
			t.Errorf("%s: doc comment says %q: write returns, reports whether, or is", at(group.Pos()), found)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				text, _ := strconv.Unquote(n.Value)
				check(at(n.Pos()), strings.Join(strings.Fields(text), " "))
			}
		case *ast.FuncDecl:
			doc(n.Doc)
		case *ast.GenDecl:
			doc(n.Doc)
		case *ast.TypeSpec:
			doc(n.Doc)
		case *ast.ValueSpec:
			doc(n.Doc)
		case *ast.Field:
			doc(n.Doc)
		}
		return true
	})
}
