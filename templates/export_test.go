package templates

// FilterNames lists the filters.
func FilterNames() []string { return filterNames() }
