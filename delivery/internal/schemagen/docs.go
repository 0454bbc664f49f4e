package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
)

// readDocs reads the comments of the structures in the package at dir, by structure, and of their fields, by structure
// and field.
func readDocs(dir string) (map[string]string, error) {
	docs := map[string]string{}
	fset := token.NewFileSet()
	for _, name := range []string{"job.go", "event.go"} {
		file, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read comments: %w", err)
		}
		for _, d := range file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				continue
			}
			spec := decl.Specs[0].(*ast.TypeSpec)
			if structure, ok := spec.Type.(*ast.StructType); ok {
				first, _, _ := strings.Cut(line(decl.Doc), ". ")
				docs[spec.Name.Name] = strings.TrimSuffix(first, ".")
				for _, f := range structure.Fields.List {
					docs[spec.Name.Name+"."+f.Names[0].Name] = line(f.Doc) + line(f.Comment)
				}
			}
		}
	}
	return docs, nil
}

func line(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }
