// Package providers holds the contract that every provider account fulfils, and what all of them share: the window, the
// rate limiter, the gate that closes when a provider throttles or fails, and the registry of provider types.
//
// A provider is one configured account (such as "mts"); its type ("smpp") names the code. Submit is asynchronous,
// because SMPP and HTTP/2 are windows, not calls: ten thousand messages a second at 80 ms are 800 in flight. The
// dispatcher takes window slots and rate tokens first, writes the hand-over mark, and then submits, which does not wait.
// That order is the back-pressure.
package providers
