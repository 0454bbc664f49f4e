//go:build !unix

package embedded

import "errors"

// lock refuses: without a lock two processes would destroy each other's data.
func lock(string) (func() error, error) {
	return nil, errors.New("the embedded broker needs a system with flock; set kafka.brokers to an external Kafka")
}
