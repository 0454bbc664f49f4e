// Package syntax reads the source of a template into one tree, whichever of the two macro forms it is written in.
//
// It knows the grammar and nothing else: which fields and filters there are, and what may stand where, is decided by the
// compiler in package templates. Reading goes on after a fault, so that all faults of a source are reported at once, and
// every fault has its place. Depth, nodes and faults are limited: a hostile source ends in bounded time.
package syntax

// Node is a piece of a template.
type Node interface {
	// At is the byte offset in the source.
	At() int
}

// Pos is a byte offset in the source.
type Pos int

// At is the offset.
func (p Pos) At() int { return int(p) }

// The nodes of a template.
type (
	// Text is printed as it stands.
	Text struct {
		Pos
		Text string
	}
	// Output prints the value of a chain.
	Output struct {
		Pos
		Chain
		// Macro is the text between the delimiters, for messages.
		Macro string
		// Retail marks the form [# #]; Fallback is its text after the bar, HasFallback tells that there is one.
		Retail      bool
		Fallback    string
		HasFallback bool
	}
	// If is if, elsif, else and unless: the first branch whose condition holds.
	If struct {
		Pos
		Branches []Branch
	}
	// Case compares one value with others.
	Case struct {
		Pos
		Value Expr
		Whens []When
		Else  []Node
	}
	// For repeats its body for the items of a list or range.
	For struct {
		Pos
		Name          string
		In            Expr
		Limit, Offset Expr // nil when not given
		Reversed      bool
		Body, Else    []Node
	}
	// Jump is break or continue.
	Jump struct {
		Pos
		Break bool
	}
	// Cycle prints its values in turn.
	Cycle struct {
		Pos
		Group  Expr // nil when not given
		Values []Expr
	}
	// Assign gives a name to a value.
	Assign struct {
		Pos
		Name string
		Chain
	}
	// Capture gives a name to what its body prints.
	Capture struct {
		Pos
		Name string
		Body []Node
	}
	// Include stands for a snippet.
	Include struct {
		Pos
		Name string
		Args []Arg
	}
)

// Branch is a part of an If. Without a condition it is the else.
type Branch struct {
	Pos
	Cond   Expr
	Negate bool
	Body   []Node
}

// When is a part of a Case.
type When struct {
	Pos
	Values []Expr
	Body   []Node
}

// Chain is an expression and the filters that its value goes through.
type Chain struct {
	Expr    Expr
	Filters []Filter
}

// Filter is one filter with its arguments; those with a name are written name: value.
type Filter struct {
	Pos
	Name string
	Args []Arg
}

// Arg is an argument of a filter or of an include.
type Arg struct {
	Pos
	Name  string
	Value Expr
}

// Expr is an expression.
type Expr interface{ Node }

// The expressions.
type (
	// String is a text in quotes.
	String struct {
		Pos
		Text string
	}
	// Number is a number as it was written.
	Number struct {
		Pos
		Text string
	}
	// Word is one of true, false, nil, blank and empty.
	Word struct {
		Pos
		Text string
	}
	// Path is a variable with its steps; the first has a name.
	Path struct {
		Pos
		Steps []Step
	}
	// Range is (from..to).
	Range struct {
		Pos
		From, To Expr
	}
	// Compare is a comparison; Op is one of == != < > <= >= contains.
	Compare struct {
		Pos
		Op          string
		Left, Right Expr
	}
	// Logic joins terms by and or by or.
	Logic struct {
		Pos
		And   bool
		Terms []Expr
	}
)

// Step is a name after a dot, or an index in brackets.
type Step struct {
	Name  string
	Index Expr
}

// Code classifies a fault.
type Code string

// The faults of syntax.
const (
	Unclosed   Code = "unclosed"
	Unexpected Code = "unexpected"
	UnknownTag Code = "unknown_tag"
	Nesting    Code = "nesting"
	MixedLogic Code = "mixed_logic"
	BadName    Code = "bad_name"
	CurlyQuote Code = "curly_quote"
	Markup     Code = "markup_in_macro"
	Encoding   Code = "encoding"
	TooLarge   Code = "too_large"
	Stray      Code = "outside_loop"
)

// Fault is something in the source that cannot be read.
type Fault struct {
	Pos
	Code Code
	// Text says what is wrong and, where it is known, what to write instead.
	Text string
	// Macro is the macro or tag as far as it is known.
	Macro string
}

// Tree is a source that was read.
type Tree struct {
	Body   []Node
	Faults []Fault
	// Nodes counts texts, outputs and tags.
	Nodes int
}

// Options say how to read.
type Options struct {
	// HTML: entities inside macros stand for their characters, because editors write them.
	HTML bool
	// MaxBytes, MaxNodes and MaxDepth are limits of the source; zero is none for the first two.
	MaxBytes, MaxNodes, MaxDepth int
}
