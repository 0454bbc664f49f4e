// Package app puts the parts together: it is the only one that imports them all. App is one process: it starts what its
// roles need, in order, and stops it in reverse. Nothing of the product's logic stands here.
package app
