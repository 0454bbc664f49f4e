package fold_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/fold"
)

func TestName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                  "",
		"  _ ":              "",
		" First__Name":      "first_name",
		" дата  РОЖДЕНИЯ ":  "дата_рождения",
		"Дата_ рождения":    "дата_рождения",
		"Счёт":              "счет",
		"СЧЁТ":              "счет",
		"бо\u00adнусы":      "бонусы",
		"\u00a0город\u00a0": "город",
		"J\u030c":           "\u01f0",
		"е\u00ad\u0308":     "е",
		"и\u0306":           "й", // NFD
	} {
		require.Equal(t, want, fold.Name(in), "%q", in)
	}
}

func FuzzName(f *testing.F) {
	f.Add("Дата_рождения")
	f.Add("İıſß\u0301")
	f.Fuzz(func(t *testing.T, s string) {
		once := fold.Name(s)
		require.Equal(t, once, fold.Name(once), "a form that is compared is its own")
	})
}
