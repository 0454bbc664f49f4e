package sim

// state is the message_state of a receipt (SMPP 3.4 section 5.2.28); 0 is none.
type state byte

const (
	stateEnroute       state = 1
	stateDelivered     state = 2
	stateExpired       state = 3
	stateDeleted       state = 4
	stateUndeliverable state = 5
	stateAccepted      state = 6
	stateUnknown       state = 7
	stateRejected      state = 8
)

// String returns the word that the text of a receipt has.
func (s state) String() string {
	switch s {
	case stateEnroute:
		return "ENROUTE"
	case stateDelivered:
		return "DELIVRD"
	case stateExpired:
		return "EXPIRED"
	case stateDeleted:
		return "DELETED"
	case stateUndeliverable:
		return "UNDELIV"
	case stateAccepted:
		return "ACCEPTD"
	case stateRejected:
		return "REJECTD"
	case stateUnknown:
		return "UNKNOWN"
	default:
		return ""
	}
}

func parseState(name string) (state, bool) {
	for s := stateEnroute; s <= stateRejected; s++ {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}

// code returns the err field of a receipt.
func (s state) code() byte {
	switch s {
	case stateExpired:
		return 27
	case stateUndeliverable:
		return 1
	case stateRejected:
		return 11
	case stateDeleted:
		return 34
	case stateUnknown:
		return 255
	case stateEnroute, stateDelivered, stateAccepted:
		return 0
	default:
		return 0
	}
}

// failed tells whether a receipt on failure only is due.
func (s state) failed() bool {
	switch s {
	case stateExpired, stateDeleted, stateUndeliverable, stateRejected, stateUnknown:
		return true
	case stateEnroute, stateDelivered, stateAccepted:
		return false
	default:
		return false
	}
}
