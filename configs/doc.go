// Package configs holds the types of Herald's configuration and reads them: defaults, then the YAML file, then
// environment variables, then flags; the later wins.
//
// Unknown keys are errors, and every fault is reported at once, with the path of the setting and the line of the file or
// the name of the variable that it came from. A secret may stand in a file of its own, named by the setting with _file
// at its end, and prints as <secret>. The settings of a provider belong to the package of its type: they stay as they
// are written until Provider.Settings is decoded, strictly, into that package's struct.
//
// Each field has a doc tag, from which the reference (Doc) and the example file (Example) are made.
package configs
