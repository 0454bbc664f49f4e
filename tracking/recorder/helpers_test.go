package recorder_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// ctx is the context of a test, or of one run of a property, which has none.
func ctx(t require.TestingT) context.Context {
	if t, ok := t.(*testing.T); ok {
		return t.Context()
	}
	return context.Background()
}
