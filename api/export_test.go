package api

// What the fuzz tests reach for.
var (
	ParseCursor = parseCursor
	LabelFault  = labelFault
)

// DecodeBatch is decodeBatch without its result's type.
func DecodeBatch(body []byte) (int, error) {
	b, err := decodeBatch(body)
	if err != nil {
		return 0, err
	}
	return len(b.jobs), nil
}
