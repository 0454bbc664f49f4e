package profiles

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/herald-gateway/herald/delivery"
)

// Format is how the rows of a file are written.
type Format string

// The formats.
const (
	FormatNDJSON Format = "ndjson" // one JSON object a line
	FormatCSV    Format = "csv"    // with a heading
)

const (
	// importBatch bounds the rows and importBatchBytes the bytes that are written at once.
	importBatch      = 1000
	importBatchBytes = 4 << 20
	// importWriters write at the same time, each the rows of its own profiles.
	importWriters = 2
	// maxOpenLines is over how many lines more a row of CSV may go on to be known as one.
	maxOpenLines = 20
	// MaxLineFaults is how many faults a report lists.
	MaxLineFaults = 1000
)

// LineFault is what is wrong with a line of a file.
type LineFault struct {
	Line    int64  `json:"line" doc:"Number of the line, from 1."`
	Field   string `json:"field,omitempty" doc:"The field; empty for the line as a whole."`
	Message string `json:"message" doc:"What is wrong with it."`
}

// ImportReport is what became of a file.
type ImportReport struct {
	Lines int64 `json:"lines" doc:"Rows of the file: lines that are neither empty nor the heading."`
	Counts
	Faulty   int64       `json:"faulty" doc:"Rows that have faults. Nothing of them was kept."`
	Faults   []LineFault `json:"faults" nullable:"false" doc:"The faults, by line; at most 1000 are listed."`
	Unlisted int64       `json:"unlisted" doc:"Faults that are not listed."`
}

// Upsert applies updates in their order.
type Upsert func(ctx context.Context, updates []*Update) (Counts, error)

// Import reads rows until in ends, writes the good ones and reports the faulty ones. It holds a few thousand rows in
// memory, whatever the size of the file; of several rows for one profile the later one comes later. A heading that cannot
// be read is an error of type delivery.Faults, and nothing is written then. After any other error rows may have been
// written; importing the file again does no harm.
func Import(ctx context.Context, in io.Reader, format Format, schema *Schema, upsert Upsert) (*ImportReport, error) {
	im := &importer{
		lines: lines{in: bufio.NewReaderSize(in, 64<<10)}, decoder: NewDecoder(schema),
		report: ImportReport{Faults: []LineFault{}}, seed: maphash.MakeSeed(),
	}
	read := im.decoder.JSON
	if format == FormatCSV {
		heading, faults, err := im.heading()
		if err != nil || faults != nil {
			return nil, errors.Join(err, asError(faults))
		}
		read, im.table = heading.update, heading
	}
	group, ctx := errgroup.WithContext(ctx)
	counts := make([]Counts, importWriters)
	for i := range im.writers {
		w := &im.writers[i]
		w.batches = make(chan []*Update)
		group.Go(func() error { return w.run(ctx, upsert, &counts[i]) })
	}
	group.Go(func() error { return im.read(ctx, read) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, c := range counts {
		im.report.Add(c)
	}
	return &im.report, nil
}

func asError(f delivery.Faults) error {
	if f == nil {
		return nil
	}
	return f
}

type importer struct {
	lines   lines
	ahead   []aheadLine // read from lines, but not looked at
	number  int64       // of the line that is looked at
	table   *table      // of a CSV file
	decoder *Decoder
	report  ImportReport
	writers [importWriters]writer
	seed    maphash.Seed
}

// aheadLine is what lines.next gave.
type aheadLine struct {
	text   string
	number int64
	err    error
}

// next is the next line to look at.
func (im *importer) next() (string, error) {
	if len(im.ahead) > 0 {
		line := im.ahead[0]
		im.ahead, im.number = im.ahead[1:], line.number
		return line.text, line.err
	}
	text, err := im.lines.next()
	im.number = im.lines.number
	return text, err
}

// skipRest skips the lines over which the row goes on that has the given size so far and a quote that is open, and gives
// the number of the last one. When none of the lines that may belong to the row closes the quote, somebody forgot to: none
// is skipped.
func (im *importer) skipRest(size int) (last int64, skipped bool) {
	for i := range maxOpenLines {
		if i == len(im.ahead) {
			text, err := im.lines.next()
			im.ahead = append(im.ahead, aheadLine{text, im.lines.number, err})
		}
		line := im.ahead[i]
		if size += len(line.text) + 1; line.err != nil || size > MaxRowBytes {
			break
		}
		if strings.Count(line.text, `"`)%2 == 1 {
			im.ahead = im.ahead[i+1:]
			return line.number, true
		}
	}
	return 0, false
}

// heading reads the first line that is not empty.
func (im *importer) heading() (*table, delivery.Faults, error) {
	for {
		line, err := im.lines.next()
		switch {
		case errors.Is(err, errLongLine):
			return nil, delivery.Faults{{Message: "the heading is longer than a line may be"}}, nil
		case errors.Is(err, io.EOF):
			return nil, delivery.Faults{{Message: "the file is empty"}}, nil
		case err != nil:
			return nil, nil, err
		case strings.TrimSpace(line) != "":
			t, faults := newTable(im.decoder, line)
			return t, faults, nil
		}
	}
}

// read turns lines into batches for the writers.
func (im *importer) read(ctx context.Context, read func(string) (*Update, delivery.Faults)) error {
	defer func() {
		for i := range im.writers {
			close(im.writers[i].batches)
		}
	}()
	for {
		if err := ctx.Err(); err != nil {
			return err // a file of faulty lines writes nothing that would notice
		}
		line, err := im.next()
		switch {
		case errors.Is(err, io.EOF):
			return im.flush(ctx)
		case errors.Is(err, errLongLine):
			im.fault(delivery.Faults{{Message: fmt.Sprintf(tooLong, MaxRowBytes)}})
			continue
		case err != nil:
			return err
		case strings.TrimSpace(line) == "":
			continue
		}
		u, faults := read(line)
		if len(faults) > 0 {
			if im.table != nil && im.table.open {
				if last, ok := im.skipRest(len(line)); ok {
					faults[0].Message += fmt.Sprintf("; the row goes on to line %d", last)
				}
			}
			im.fault(faults)
			continue
		}
		im.report.Lines++
		w := &im.writers[maphash.String(im.seed, u.External)%importWriters]
		if err := w.add(ctx, u, len(line)); err != nil {
			return err
		}
	}
}

func (im *importer) flush(ctx context.Context) error {
	for i := range im.writers {
		if err := im.writers[i].flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fault notes a row that is not kept.
func (im *importer) fault(faults delivery.Faults) {
	im.report.Lines++
	im.report.Faulty++
	for _, f := range faults {
		if len(im.report.Faults) == MaxLineFaults {
			im.report.Unlisted++
			continue
		}
		im.report.Faults = append(im.report.Faults, LineFault{Line: im.number, Field: f.Field, Message: f.Message})
	}
}

// writer collects the updates of its profiles and writes them in their order.
type writer struct {
	batch   []*Update
	bytes   int
	batches chan []*Update
}

func (w *writer) add(ctx context.Context, u *Update, bytes int) error {
	w.batch, w.bytes = append(w.batch, u), w.bytes+bytes
	if len(w.batch) < importBatch && w.bytes < importBatchBytes {
		return nil
	}
	return w.flush(ctx)
}

func (w *writer) flush(ctx context.Context) error {
	if len(w.batch) == 0 {
		return nil
	}
	select {
	case w.batches <- w.batch:
		w.batch, w.bytes = make([]*Update, 0, importBatch), 0
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) run(ctx context.Context, upsert Upsert, counts *Counts) error {
	for batch := range w.batches {
		c, err := upsert(ctx, batch)
		if err != nil {
			return err
		}
		counts.Add(c)
	}
	return nil
}

// errLongLine is a line that is longer than MaxRowBytes. It is skipped.
var errLongLine = errors.New("the line is too long")

// lines reads lines without their ends (LF or CRLF) and the byte order mark, none longer than MaxRowBytes in memory.
type lines struct {
	in     *bufio.Reader
	number int64 // of the line that was read last
	buf    []byte
}

// next is the next line; it fails with errLongLine for one that is too long, and with io.EOF at the end.
func (l *lines) next() (string, error) {
	l.buf = l.buf[:0]
	long := false
	for {
		part, err := l.in.ReadSlice('\n')
		if long = long || len(l.buf)+len(part) > MaxRowBytes+len("\r\n"); !long {
			l.buf = append(l.buf, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && !long && len(l.buf) == 0:
			return "", io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return "", fmt.Errorf("read line %d: %w", l.number+1, err)
		}
		l.number++
		if long {
			return "", errLongLine
		}
		line := bytes.TrimSuffix(bytes.TrimSuffix(l.buf, []byte("\n")), []byte("\r"))
		if l.number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		return string(line), nil
	}
}
