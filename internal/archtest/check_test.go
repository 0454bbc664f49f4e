package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// check reads the Go files of a module's tree and returns what breaks the rule, one line each, in the order of the files.
func check(tree fs.FS) ([]string, error) {
	var faults []string
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(name):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse %s: %w", name, err)
		}
		for _, fault := range checkFile(path.Dir(name), strings.HasSuffix(name, "_test.go"), file) {
			faults = append(faults, name+": "+fault)
		}
		return nil
	})
	return faults, err
}

// skipped are folders that hold no code of ours: what the Go tool skips, and what npm and make put there.
func skipped(name string) bool {
	base := path.Base(name)
	return name != "." && (base[0] == '.' || base[0] == '_') || base == "testdata" || name == "bin" ||
		name == "web/node_modules" || name == "web/dist"
}

func checkFile(dir string, test bool, file *ast.File) (faults []string) {
	row, own := areaOf(dir)
	if row == nil {
		return []string{"the folder " + dir + " has no row in internal/archtest"}
	}
	names := map[string]string{} // of packages in this file
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return append(faults, err.Error())
		}
		names[localName(spec, imported)] = imported
		if fault := checkImport(dir, test, row, own, imported); fault != "" {
			faults = append(faults, fault)
		}
	}
	if row.pure && !test {
		faults = append(faults, checkClock(file, names)...)
	}
	return faults
}

// areaOf finds the row of a folder, and the path of the area itself, in which a star is replaced.
func areaOf(dir string) (row *area, own string) {
	best := 0
	for i := range areas {
		if p, ok := under(dir, areas[i].path); ok && len(areas[i].path) > best {
			row, own, best = &areas[i], p, len(areas[i].path)
		}
	}
	return row, own
}

// under reports whether dir is prefix or lies below it, and gives the part of dir that matched.
func under(dir, prefix string) (string, bool) {
	elements, pattern := strings.Split(dir, "/"), strings.Split(prefix, "/")
	if len(elements) < len(pattern) {
		return "", false
	}
	for i, want := range pattern {
		if want != everything && want != elements[i] {
			return "", false
		}
	}
	return strings.Join(elements[:len(pattern)], "/"), true
}

func checkImport(dir string, test bool, row *area, own, imported string) string {
	ours, isOurs := strings.CutPrefix(imported, module+"/")
	switch {
	case isOurs && test:
		return checkForTests(ours)
	case isOurs:
		return checkOurs(row, own, ours)
	case row.pure && !test && isImpure(imported):
		return own + " is pure and may not import " + imported
	}
	return checkForeign(dir, test, row, imported)
}

// checkForTests: test files join what they like, but nothing builds on commands and scenarios.
func checkForTests(ours string) string {
	for _, top := range []string{"cmd", "test/e2e"} {
		if _, ok := under(ours, top); ok {
			return "nothing may import " + ours
		}
	}
	return ""
}

func checkOurs(row *area, own, ours string) string {
	target, targetOwn := areaOf(ours)
	switch {
	case target == nil:
		return ours + " has no row in internal/archtest"
	case targetOwn == own:
		return ""
	case forTests(targetOwn):
		return ours + " is for tests only"
	case slices.Contains(row.may, targetOwn):
		return ""
	case slices.Contains(row.may, everything) && !slices.Contains([]string{"cmd", "bench", "test/e2e"}, targetOwn):
		return ""
	}
	return fmt.Sprintf("%s may not import %s; it may import %s", own, ours, strings.Join(append(row.may, "itself"), ", "))
}

// forTests reports whether an area holds helpers for tests, which the binary must not contain.
func forTests(own string) bool { return strings.HasSuffix(own, "test") }

func checkForeign(dir string, test bool, row *area, imported string) string {
	if first, _, _ := strings.Cut(imported, "/"); row.std && !test && strings.Contains(first, ".") {
		return row.path + " may import the standard library only, not " + imported
	}
	for foreign, places := range homes {
		if imported != foreign && !strings.HasPrefix(imported, foreign+"/") {
			continue
		}
		home := slices.ContainsFunc(places, func(p string) bool { _, ok := under(dir, p); return ok })
		_, own := areaOf(dir)
		switch {
		case home || test || len(places) == 0 && forTests(own):
			return ""
		case len(places) == 0:
			return imported + " is for tests only"
		}
		return fmt.Sprintf("%s has its home in %s", imported, strings.Join(places, " and "))
	}
	return ""
}

func isImpure(imported string) bool {
	return !slices.Contains(pureNet, imported) && slices.ContainsFunc(impure, func(p string) bool {
		return imported == p || strings.HasPrefix(imported, p+"/")
	})
}

// checkClock finds what reads the clock or waits for it.
func checkClock(file *ast.File, names map[string]string) (faults []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok || !slices.Contains(clock, sel.Sel.Name) {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && names[id.Name] == "time" {
			faults = append(faults, "time."+sel.Sel.Name+" in a pure package; take now as an argument")
		}
		return true
	})
	return faults
}

// localName is the name by which a file calls a package; for paths without a name of their own the last element will do,
// because only the standard library's time is looked for.
func localName(spec *ast.ImportSpec, imported string) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	return path.Base(imported)
}
