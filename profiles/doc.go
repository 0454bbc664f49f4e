// Package profiles knows the clients: who they are, what the shop knows of them, and where they are reached.
//
// A Profile has an external id, by which jobs and the shop's systems name it, the typed fields that every shop has (names,
// sex, birth date, city, store, locale, time zone), attributes that this shop declared, and contact points by channel. A
// Schema is the set of declared attributes; it reads rows of JSON and CSV into Updates. An Update changes what it names
// and nothing else: what is left out stays, what is null is cleared. Import reads a stream of rows in bounded memory,
// keeps the good ones and reports the faults by line.
//
// Whoever needs profiles for sending asks a Reader for the fields that a template uses, by the batch. Values are typed; a
// text that is empty or blank is no value at all.
//
// Faults name the field and never repeat what was sent, and a profile that is logged shows its number only.
package profiles
