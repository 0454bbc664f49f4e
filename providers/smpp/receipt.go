package smpp

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/smstext"
)

// ReceiptText is what the text of a receipt says (SMPP 3.4 appendix B). Every field may be missing.
type ReceiptText struct {
	ID        string
	Submitted string
	Done      string
	Stat      string
	Err       string
	Sub       string
	Delivered string
}

// ScanReceipt reads the text of a receipt. It never fails: SMSCs leave keys out, move them, write them in any case and
// with a space after the colon. What follows text: is the start of the message and is not read.
func ScanReceipt(text string) ReceiptText {
	var r ReceiptText
	for i := 0; i < len(text); {
		if i > 0 && !space(text[i-1]) || space(text[i]) {
			i++
			continue
		}
		key, n := receiptKey(text[i:])
		if n == 0 {
			i++
			continue
		}
		if key == keyText {
			return r
		}
		i += n
		for i < len(text) && space(text[i]) {
			if _, more := receiptKey(text[i+1:]); more > 0 { // an empty value
				break
			}
			i++
		}
		end := i
		for end < len(text) && !space(text[end]) {
			end++
		}
		if f := r.field(key); *f == "" {
			*f = text[i:end]
		}
		i = end
	}
	return r
}

// receiptWord is a key of the text of a receipt.
type receiptWord uint8

const (
	keyID receiptWord = iota
	keySub
	keyDelivered
	keySubmit
	keyDone
	keyStat
	keyErr
	keyText
)

func (r *ReceiptText) field(key receiptWord) *string {
	switch key {
	case keyID:
		return &r.ID
	case keySub:
		return &r.Sub
	case keyDelivered:
		return &r.Delivered
	case keySubmit:
		return &r.Submitted
	case keyDone:
		return &r.Done
	case keyStat:
		return &r.Stat
	case keyErr, keyText:
	}
	return &r.Err
}

// receiptKey recognises a key with its colon at the start of s, and says how long it is.
func receiptKey(s string) (receiptWord, int) {
	if s == "" {
		return 0, 0
	}
	var names []string
	var keys []receiptWord
	switch s[0] | 0x20 {
	case 'i':
		names, keys = []string{"id:"}, []receiptWord{keyID}
	case 's':
		names = []string{"stat:", "sub:", "submit date:", "submitdate:"}
		keys = []receiptWord{keyStat, keySub, keySubmit, keySubmit}
	case 'd':
		names = []string{"dlvrd:", "done date:", "donedate:"}
		keys = []receiptWord{keyDelivered, keyDone, keyDone}
	case 'e':
		names, keys = []string{"err:"}, []receiptWord{keyErr}
	case 't':
		names, keys = []string{"text:"}, []receiptWord{keyText}
	default:
		return 0, 0
	}
	for i, name := range names {
		if len(s) >= len(name) && strings.EqualFold(s[:len(name)], name) {
			return keys[i], len(name)
		}
	}
	return 0, 0
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0 }

// receiptParser turns deliver_sm into receipts, for one account.
type receiptParser struct {
	provider         string
	respID, textID   IDForm
	byText           bool // receipt_detect: text
	zone             *time.Location
	reasons          map[string]delivery.Reason
	unparsed, clashs func() // counters
}

// isReceipt says that the message is no ordinary one. The receipted_message_id alone proves nothing: some SMSCs put it
// on messages of handsets.
func (p *receiptParser) isReceipt(d *deliver) bool {
	if d.esmClass&0x3c != 0 {
		return true
	}
	if !p.byText {
		return false
	}
	t := ScanReceipt(textOf(d))
	return t.ID != "" && t.Stat != ""
}

// parse reads a receipt. False means that there is nothing in it to tell: no id.
func (p *receiptParser) parse(d *deliver, now time.Time) (delivery.Receipt, bool) {
	d.stripHeader()
	t := ScanReceipt(textOf(d))
	r := delivery.Receipt{Provider: p.provider, At: p.at(t.Done, now), State: p.state(d, t.Stat)}
	textRef := p.textID.Canonical(t.ID)
	if len(d.receiptedID) > 0 {
		// The TLV mostly has the form of the answer, whatever the text has.
		r.Ref = p.respID.CanonicalBytes(d.receiptedID)
		if r.AltRef = textRef; r.AltRef == r.Ref {
			r.AltRef = ""
		}
	}
	if r.Ref == "" {
		r.Ref, r.AltRef = textRef, ""
	}
	if r.Ref == "" {
		p.unparsed()
		return r, false
	}
	r.Code, r.Detail = t.Err, strings.ToUpper(limit(t.Stat, 20))
	if d.networkError != nil {
		r.Code = strconv.Itoa(int(d.networkError[0])) + ":" +
			strconv.Itoa(int(d.networkError[1])<<8|int(d.networkError[2]))
	}
	r.Code = limit(r.Code, 40)
	r.Reason = p.reason(r.State, t.Err, r.Code)
	return r, true
}

// state is what happened, by TLV, else by the word in the text.
func (p *receiptParser) state(d *deliver, stat string) delivery.ReceiptState {
	word, known := stateOfWord(stat)
	if d.esmClass&0x3c == 0x20 {
		return delivery.ReceiptSent // an intermediate notification decides nothing
	}
	if !d.hasState {
		return word
	}
	s := stateOfTLV(d.state)
	if known && s != word {
		p.clashs()
	}
	return s
}

func stateOfTLV(state byte) delivery.ReceiptState {
	switch state {
	case 2:
		return delivery.ReceiptDelivered
	case 3:
		return delivery.ReceiptExpired
	case 4, 5, 9:
		return delivery.ReceiptUndelivered
	case 8:
		return delivery.ReceiptRejected
	}
	return delivery.ReceiptSent
}

// stateOfWord reads stat by its beginning; false means that the word is not known.
func stateOfWord(stat string) (delivery.ReceiptState, bool) {
	has := func(prefixes ...string) bool {
		for _, p := range prefixes {
			if len(stat) >= len(p) && strings.EqualFold(stat[:len(p)], p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("DELIV"):
		return delivery.ReceiptDelivered, true
	case has("EXPIR"):
		return delivery.ReceiptExpired, true
	case has("DELET", "UNDEL", "SKIPP", "FAIL"):
		return delivery.ReceiptUndelivered, true
	case has("REJEC"):
		return delivery.ReceiptRejected, true
	case has("SCHED", "ENROU", "BUFFER", "ACCEP", "UNKNO"):
		return delivery.ReceiptSent, true
	}
	return delivery.ReceiptSent, false
}

// reason is why a message did not arrive: the account's own map decides, else the state.
func (p *receiptParser) reason(s delivery.ReceiptState, err, code string) delivery.Reason {
	switch s {
	case delivery.ReceiptUndelivered, delivery.ReceiptRejected, delivery.ReceiptExpired:
		for _, key := range []string{err, code} {
			if why, ok := p.reasons[strings.ToLower(key)]; ok {
				return why
			}
		}
		if s == delivery.ReceiptExpired {
			return delivery.ReasonNone
		}
		return delivery.ReasonUnreachable
	case delivery.ReceiptSent, delivery.ReceiptDelivered, delivery.ReceiptRead, delivery.ReceiptAccepted:
	}
	return delivery.ReasonNone
}

// The window in which a receipt's own date is believed.
const (
	oldestDate = 4 * 24 * time.Hour
	clockSkew  = 5 * time.Minute
)

// at is the date of the receipt when it is plausible, else when it arrived. A date to the minute that is this minute says
// no more than the arrival, which then comes nearer to the truth.
func (p *receiptParser) at(date string, now time.Time) time.Time {
	layout, precision := "", time.Second
	switch len(date) {
	case 10:
		layout, precision = "0601021504", time.Minute
	case 12:
		layout = "060102150405"
	case 14:
		layout = "20060102150405"
	}
	if layout == "" || !digits(date) {
		return now
	}
	t, err := time.ParseInLocation(layout, date, p.zone)
	if err != nil || t.Before(now.Add(-oldestDate)) || t.After(now.Add(clockSkew)) {
		return now
	}
	if since := now.Sub(t); since >= 0 && since < precision {
		return now
	}
	return t
}

// textOf is the text of a message from the SMSC, for reading: bytes above ASCII are taken as Latin-1.
func textOf(d *deliver) string {
	b := d.text
	if d.dataCoding == 8 {
		units := make([]uint16, 0, len(b)/2)
		for i := 0; i+1 < len(b); i += 2 {
			units = append(units, uint16(b[i])<<8|uint16(b[i+1]))
		}
		return string(utf16.Decode(units))
	}
	for _, c := range b {
		if c >= 0x80 {
			runes := make([]rune, len(b))
			for i, c := range b {
				runes[i] = rune(c)
			}
			return string(runes)
		}
	}
	return string(b)
}

// replyText is the text of a message from a handset, in the alphabet that the account's data_coding 0 means.
func replyText(d *deliver, alphabet smstext.Encoding) string {
	enc := alphabet
	switch d.dataCoding {
	case 1:
		enc = smstext.ASCII
	case 3:
		enc = smstext.Latin1
	case 8:
		enc = smstext.UCS2
	}
	if s, err := smstext.Decode(enc, d.text); err == nil {
		return s
	}
	return strings.ToValidUTF8(textOf(d), "\ufffd")
}

// limit cuts what the SMSC wrote to n bytes.
func limit(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }
