//go:build !race

package stacks

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// at returns the value in a template at a path of keys and positions, nil if there is
// none.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := v.(map[string]any)
			v = object[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

// list returns what may be a single value or a list in a template as a list.
func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

func texts(v any) []string {
	var out []string
	for _, item := range list(v) {
		out = append(out, fmt.Sprint(item))
	}
	return out
}

// resources returns the resources of a type by their logical ids.
func (st *synthStack) resources(kind string) map[string]any {
	out := map[string]any{}
	resources, _ := st.template["Resources"].(map[string]any)
	for id, resource := range resources {
		if at(resource, "Type") == kind {
			out[id] = resource
		}
	}
	return out
}

// policiesOf returns the policy resources of a role.
func (st *synthStack) policiesOf(role string) []any {
	var out []any
	for _, policy := range st.resources("AWS::IAM::Policy") {
		for _, of := range list(at(policy, "Properties", "Roles")) {
			if at(of, "Ref") == role {
				out = append(out, policy)
			}
		}
	}
	return out
}

// only returns the one resource of a type.
func (st *synthStack) only(t *testing.T, kind string) (id string, resource any) {
	t.Helper()
	found := st.resources(kind)
	if len(found) != 1 {
		t.Fatalf("%d resources of type %s, want 1", len(found), kind)
	}
	for id, resource = range found {
	}
	return id, resource
}

// none checks that there are no resources of the types.
func (st *synthStack) none(t *testing.T, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		for id := range st.resources(kind) {
			t.Errorf("unexpected %s, %s", kind, id)
		}
	}
}

// resource returns the resource with a logical id.
func (st *synthStack) resource(t *testing.T, id string) any {
	t.Helper()
	found := at(st.template, "Resources", id)
	if found == nil {
		t.Fatalf("missing resource %s", id)
	}
	return found
}

// same compares a part of a template with JSON.
func same(t *testing.T, what string, got any, want string) {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(want), &v); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	if !reflect.DeepEqual(got, v) {
		t.Errorf("%s:\n%s\nwant\n%s", what, text(got), text(v))
	}
}

// text returns a value as JSON.
func text(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// walk visits every value in a template with its path.
func walk(v any, path string, visit func(path string, v any)) {
	visit(path, v)
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			walk(v[key], path+"/"+key, visit)
		}
	case []any:
		for i, item := range v {
			walk(item, fmt.Sprintf("%s/%d", path, i), visit)
		}
	}
}

// statement is a policy statement in a template.
type statement struct {
	path string
	body map[string]any
}

func (st *synthStack) statements() []statement {
	var out []statement
	walk(st.template["Resources"], "", func(path string, v any) {
		if body, ok := v.(map[string]any); ok && body["Effect"] != nil {
			out = append(out, statement{path, body})
		}
	})
	return out
}

// of reports whether a statement is part of a resource.
func (s statement) of(id string) bool { return strings.HasPrefix(s.path, "/"+id+"/") }

// pairs returns a list of keys and values as a map.
func pairs(v any) map[string]any {
	out := map[string]any{}
	for _, item := range list(v) {
		out[fmt.Sprint(at(item, "Key"))] = at(item, "Value")
	}
	return out
}
