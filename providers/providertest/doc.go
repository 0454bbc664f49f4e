// Package providertest is the suite that every provider type passes against its own simulator. A type's test makes a
// Harness, whose Start brings up a simulator and an account connected to it, and calls Run:
//
//	func TestMain(m *testing.M) { providertest.Main(m) } // no goroutine may be left
//
//	func TestProvider(t *testing.T) {
//		providertest.Run(t, providertest.Harness{Start: start})
//	}
//
// What a simulator cannot do is left out by returning nil from Message or false from Inject; the suite then says so in
// its log and leaves out the check. Only tests import this package.
package providertest
