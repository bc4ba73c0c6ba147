package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// checkShape compares a YAML node with the Go type it will be decoded into, and
// reports every unknown key and every value of the wrong kind. The YAML library
// can refuse unknown keys too, but names neither their path nor what is allowed.
func checkShape(n *yaml.Node, t reflect.Type, path string) []error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil // a key without a value is as good as absent
	}
	switch t.Kind() {
	case reflect.Struct:
		return checkStruct(n, t, path)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return []error{problemAt(n, path, "want a list")}
		}
		var problems []error
		for i, item := range n.Content {
			problems = append(problems, checkShape(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))...)
		}
		return problems
	case reflect.Map:
		if n.Kind != yaml.MappingNode {
			return []error{problemAt(n, path, "want key: value pairs")}
		}
		var problems []error
		for i := 1; i < len(n.Content); i += 2 {
			problems = append(problems, checkShape(n.Content[i], t.Elem(), path+"."+n.Content[i-1].Value)...)
		}
		return problems
	}
	if n.Kind != yaml.ScalarNode {
		return []error{problemAt(n, path, "want one value")}
	}
	return checkScalar(n, t, path)
}

func checkStruct(n *yaml.Node, t reflect.Type, path string) []error {
	if n.Kind != yaml.MappingNode {
		return []error{problemAt(n, path, "want key: value pairs")}
	}
	known := make(map[string]reflect.Type)
	for i := range t.NumField() {
		known[t.Field(i).Tag.Get("yaml")] = t.Field(i).Type
	}
	var problems []error
	seen := make(map[string]bool)
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		where := strings.TrimPrefix(path+"."+key.Value, ".")
		field, ok := known[key.Value]
		switch {
		case !ok:
			allowed := strings.Join(slices.Sorted(maps.Keys(known)), ", ")
			problems = append(problems, problemAt(key, where, "unknown key; allowed here: "+allowed))
		case seen[key.Value]:
			problems = append(problems, problemAt(key, where, "given twice"))
		default:
			problems = append(problems, checkShape(value, field, where)...)
		}
		seen[key.Value] = true
	}
	return problems
}

func checkScalar(n *yaml.Node, t reflect.Type, path string) []error {
	var err error
	want := ""
	switch {
	case t == reflect.TypeFor[time.Duration]():
		_, err = time.ParseDuration(n.Value)
		want = "a duration such as 30s or 5m"
	case t.Kind() == reflect.Int:
		_, err = strconv.Atoi(n.Value)
		want = "a whole number"
	case t.Kind() == reflect.Bool:
		if n.Tag != "!!bool" {
			err = strconv.ErrSyntax
		}
		want = "true or false"
	}
	if err != nil {
		return []error{problemAt(n, path, fmt.Sprintf("found %q, want %s", n.Value, want))}
	}
	return nil
}

func problemAt(n *yaml.Node, path, what string) error {
	return fmt.Errorf("line %d: %s: %s", n.Line, path, what)
}
