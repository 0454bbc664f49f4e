package delivery_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-gateway/herald/delivery"
)

func seed(f *testing.F, pattern string) {
	f.Helper()
	for _, name := range glob(f, pattern) {
		f.Add(read(f, name))
	}
}

// Whatever is read can be written and read again as the same job, and encoding/json agrees that it is JSON.
func FuzzDecodeJob(f *testing.F) {
	seed(f, "job.v1*.json")
	seed(f, "bad/job.v1*.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		job, err := delivery.DecodeJob(b)
		if err != nil {
			var faults delivery.Faults
			if !errors.As(err, &faults) || len(faults) == 0 || err.Error() == "" || job != nil {
				t.Fatalf("an error without faults: %v", err)
			}
			return
		}
		if dec := json.NewDecoder(bytes.NewReader(b)); dec.Decode(new(delivery.Job)) != nil {
			t.Fatalf("encoding/json does not read %q", b)
		}
		text, err := delivery.EncodeJob(job)
		if err != nil {
			t.Fatal(err)
		}
		again, err := delivery.DecodeJob(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(job, again); diff != "" {
			t.Fatal(diff)
		}
		if _, err := delivery.JobRecord("t", job); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDecodeEvent(f *testing.F) {
	seed(f, "event.v1*.json")
	seed(f, "bad/event.v1*.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		var e, std, again delivery.Event
		if delivery.DecodeEvent(b, &e) != nil {
			return
		}
		if err := json.Unmarshal(b, &std); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(std, e); diff != "" && !bytes.Contains(b, []byte("[]")) {
			t.Fatal(diff) // an empty list is no list here
		}
		text, err := delivery.AppendEvent(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		if err := delivery.DecodeEvent(text, &again); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(e, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzNormalPhone(f *testing.F) {
	for _, s := range []string{"+79161234567", "8 (916) 123-45-67", "0079161234567", "+", "٧", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		phone, err := delivery.NormalPhone(s)
		if err != nil {
			return
		}
		if again, err := delivery.NormalPhone(phone); err != nil || again != phone {
			t.Fatalf("%q became %q, then %q, %v", s, phone, again, err)
		}
		if len(phone) < 8 || len(phone) > 16 || phone[0] != '+' || phone[1] == '0' {
			t.Fatalf("%q became %q", s, phone)
		}
	})
}
