package delivery_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
)

func BenchmarkDecodeJob(b *testing.B) {
	text := compact(b, read(b, "job.v1.sms.json"))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := delivery.DecodeJob(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeJob_EncodingJSON(b *testing.B) {
	text := compact(b, read(b, "job.v1.sms.json"))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := json.Unmarshal(text, new(delivery.Job)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeJob(b *testing.B) {
	job, err := delivery.DecodeJob(read(b, "job.v1.sms.json"))
	require.NoError(b, err)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = delivery.AppendJob(buf[:0], job); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	var e delivery.Event
	require.NoError(b, delivery.DecodeEvent(read(b, "event.v1.accepted.json"), &e))
	var buf []byte
	var err error
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = delivery.AppendEvent(buf[:0], &e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	text := compact(b, read(b, "event.v1.accepted.json"))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var e delivery.Event
	for b.Loop() {
		if err := delivery.DecodeEvent(text, &e); err != nil {
			b.Fatal(err)
		}
	}
}
