package delivery

import (
	"fmt"
	"slices"
	"strings"
)

// names maps a closed set of small numbers to their JSON names. The numbers are stored in SQL and never change.
type names[T ~uint8] struct {
	what   string
	byNum  [256]string
	byName map[string]T
}

func newNames[T ~uint8](what string, list map[T]string) *names[T] {
	n := &names[T]{what: what, byName: make(map[string]T, len(list))}
	for num, name := range list {
		n.byNum[num] = name
		n.byName[name] = num
	}
	return n
}

func (n *names[T]) parse(s string) (T, error) {
	if v, ok := n.byName[s]; ok {
		return v, nil
	}
	if len(n.byName) > 8 {
		return 0, fmt.Errorf("%s is no %s", quoted(s), n.what)
	}
	var known []string
	for _, v := range n.all() {
		if n.byNum[v] != "" {
			known = append(known, n.byNum[v])
		}
	}
	return 0, fmt.Errorf("%s is no %s (%s)", quoted(s), n.what, strings.Join(known, ", "))
}

// has says that v is one of the set.
func (n *names[T]) has(v T) bool {
	known, ok := n.byName[n.byNum[v]]
	return ok && known == v
}

func (n *names[T]) all() []T {
	var list []T
	for _, v := range n.byName {
		list = append(list, v)
	}
	slices.Sort(list)
	return list
}
