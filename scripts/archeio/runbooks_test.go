package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"archeio/infra/stage"
	"archeio/scripts/archeio/cli"
)

// codeBlock is a block of shell commands in a document, without continued lines.
type codeBlock struct {
	info string // what follows the three back quotes
	text string
}

// codeBlocks returns the blocks of shell commands in a document. A block without a
// language is one of commands unless it starts with another word than a program.
func codeBlocks(document string) (all []codeBlock) {
	for i, part := range strings.Split("\n"+document, "\n```") {
		info, text, _ := strings.Cut(part, "\n")
		b := codeBlock{info, strings.ReplaceAll(text, "\\\n", " ")}
		first, _, _ := strings.Cut(text, " ")
		if i%2 == 1 && (strings.HasPrefix(info, "sh") || info == "" && slices.Contains(programs, first) || strings.Contains(text, "$")) {
			all = append(all, b)
		}
	}
	return all
}

// programs are what the documents run, and words of the shell.
var programs = strings.Fields("archeio aws curl date echo go make printf sha256sum sort . export for do done")

var (
	functionDefined = regexp.MustCompile(`(?m)^([a-z]+)\(\) \{`)
	variableDefined = regexp.MustCompile(`(?m)^([A-Za-z_]+)=|\bfor ([a-z]+) in`)
	exported        = regexp.MustCompile(`(?m)^export .*`)
	exportedName    = regexp.MustCompile(` ([A-Z]+)=`)
	variableUsed    = regexp.MustCompile(`\$\{?([A-Za-z_]+)`)
	commandUsed     = regexp.MustCompile(`(?m)(?:^\s*|\$\(|<\(|\| |&& |; |\bdo |\{ )([a-z][a-z0-9-]*|\.)(?:[ ;]|$)`)
)

// undefined returns the variables and commands of the blocks that nothing defines in
// their block or above it.
func undefined(blocks []codeBlock) (missing []string) {
	defined := map[string]bool{}
	for _, p := range programs {
		defined[p] = true
	}
	for _, b := range blocks {
		for _, m := range functionDefined.FindAllStringSubmatch(b.text, -1) {
			defined[m[1]] = true
		}
		for _, m := range variableDefined.FindAllStringSubmatch(b.text, -1) {
			defined["$"+m[1]+m[2]] = true
		}
		for _, line := range exported.FindAllString(b.text, -1) {
			for _, m := range exportedName.FindAllStringSubmatch(line, -1) {
				defined["$"+m[1]] = true
			}
		}
		sources := strings.HasPrefix(b.text, ". ") // a file that sets the variables
		for _, m := range variableUsed.FindAllStringSubmatch(b.text, -1) {
			if !defined["$"+m[1]] && !sources {
				missing = append(missing, "$"+m[1])
			}
		}
		for _, m := range commandUsed.FindAllStringSubmatch(b.text, -1) {
			if !defined[m[1]] {
				missing = append(missing, m[1])
			}
		}
	}
	return missing
}

// Each block can be pasted after those above it.
func TestDocumentedCommandsAreDefined(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"runbooks.md", "operations.md"} {
		if missing := undefined(codeBlocks(readDocument(t, name))); len(missing) > 0 {
			t.Errorf("%s uses %q, which nothing above it defines", name, missing)
		}
	}
}

// The example stage of the runbooks has the regions that they set.
func TestRunbookExample(t *testing.T) {
	t.Parallel()
	set := map[string]string{}
	for _, word := range strings.Fields(exported.FindString(readDocument(t, "runbooks.md"))) {
		name, value, _ := strings.Cut(word, "=")
		set[name] = value
	}
	s, err := stage.Read("../../cdk.json", set["STAGE"])
	if err != nil {
		t.Fatal(err)
	}
	if set["PRIMARY"] != s.Primary || !slices.Contains(s.Redirectors, set["REDIRECTOR"]) || !slices.Contains(s.Replicas(), set["REGION"]) {
		t.Errorf("runbooks.md sets %v for stage %s, which has the primary %s, redirectors in %v and replicas in %v", set, s.Name, s.Primary, s.Redirectors, s.Replicas())
	}
}

func readDocument(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../.github", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestUndefined(t *testing.T) {
	t.Parallel()
	const export = "```\nexport A=1 B=2\n```\n"
	for _, tt := range []struct{ name, document, want string }{
		{"export", export + "```sh\necho $A ${B%%/*}\n```\n", ""},
		{"order", "```sh\necho $A\n```\n" + export, "$A"},
		{"variable", "```\nx=\"$(date)\"\necho $x $y\n```\n", "$y"},
		{"loop", "```sh\nfor r in a; do echo $r; done\n```\n", ""},
		{"function", "```sh\nf() {\n\techo\n}\n```\n```sh\necho \"$(f x)\"\n```\n", ""},
		{"unknown-function", "```\naws a \\\n\t--b \"$(f x)\"\n```\n", "f"},
		{"argument", "```sh\naws cloudfront f\n```\n", ""},
		{"output", "```\nerror: bad key\n```\n", ""},
		{"sourced", "```sh\n. .env\necho $A\n```\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(undefined(codeBlocks(tt.document)), " "); got != tt.want {
				t.Errorf("undefined %q, want %q", got, tt.want)
			}
		})
	}
}

// shellWords returns the words of a command up to a pipe, a redirection or the next
// command. What a command or a variable prints is X.
func shellWords(line string) (words []string) {
	line = regexp.MustCompile(`\$\{?[A-Za-z_]+\}?`).ReplaceAllString(line, "X")
	for nested := regexp.MustCompile(`\$\([^()]*\)`); nested.MatchString(line); {
		line = nested.ReplaceAllString(line, "X")
	}
	for _, word := range regexp.MustCompile(`(?:"[^"]*"|'[^']*'|[^\s"'])+`).FindAllString(line, -1) {
		if strings.ContainsAny(word[:1], "|>&;#") {
			break
		}
		words = append(words, strings.NewReplacer(`"`, "", "'", "").Replace(word))
	}
	return words
}

// parse returns what is wrong with the arguments of the program. A command that can have
// a stage must have one, or what replaces it.
func parse(args []string) error {
	r := root()
	cli.Prepare(r)
	for i, a := range args {
		if regexp.MustCompile(`^-[a-z]{2}`).MatchString(a) {
			args[i] = "-" + a
		}
	}
	c, rest, err := r.Find(args)
	if err != nil {
		return err
	}
	if c.HasSubCommands() {
		return fmt.Errorf("unknown command %q", args)
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	f := c.Flags()
	if c.Name() != "capacity" && f.Lookup("stage") != nil && !f.Changed("stage") && !f.Changed("bucket") {
		return fmt.Errorf("archeio %q: missing -stage", args)
	}
	return c.ValidateArgs(f.Args())
}

var (
	inBlock  = regexp.MustCompile(`(?m)(?:^|\s)(?:go run \./scripts/)?archeio (.*)`)
	inText   = regexp.MustCompile("`archeio ([a-z][^`]*)`")
	inQuotes = regexp.MustCompile(`"archeio ([^"]*)"`)
)

// The commands of the documents and of the alarms are ones that the program has, with
// the flags that they need.
func TestDocumentedCommandsParse(t *testing.T) {
	t.Parallel()
	check := func(where string, commands [][]string, least int) {
		if len(commands) < least {
			t.Errorf("%s has %d commands, want at least %d", where, len(commands), least)
		}
		for _, m := range commands {
			if err := parse(shellWords(m[1])); err != nil {
				t.Errorf("%s: %s: %v", where, m[0], err)
			}
		}
	}
	for _, name := range []string{"runbooks.md", "operations.md"} {
		document := readDocument(t, name)
		var commands [][]string
		for _, b := range codeBlocks(document) {
			commands = append(commands, inBlock.FindAllStringSubmatch(b.text, -1)...)
		}
		if name == "runbooks.md" { // others only mention commands
			commands = append(commands, inText.FindAllStringSubmatch(document, -1)...)
		}
		check(name, commands, 10)
	}
	templates, err := filepath.Glob("../../infra/stacks/testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	var commands [][]string
	for _, file := range templates {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var template struct {
			Resources map[string]struct {
				Properties struct{ AlarmDescription string }
			}
		}
		if err := json.Unmarshal(text, &template); err != nil {
			t.Fatal(err)
		}
		for _, r := range template.Resources {
			commands = append(commands, inQuotes.FindAllStringSubmatch(r.Properties.AlarmDescription, -1)...)
		}
	}
	check("an alarm", commands, 5)
}
