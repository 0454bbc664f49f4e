// Package smstext turns a text into the parts of an SMS and back.
//
// It is the one segmenter of Herald: the lint of a template, its price, its preview and the bytes that are sent all
// come from here, so they agree. A text goes as GSM 7-bit (3GPP TS 23.038) when every character is in that alphabet,
// and as UCS-2 (UTF-16 with the high byte first) otherwise. A long text is cut greedily into parts that a handset
// joins again (3GPP TS 23.040); a cut never divides a GSM escape pair nor a surrogate pair. Because of that a part may
// hold 152 septets or 66 units, and the number of parts is found by cutting, never by division.
//
// Limits, in septets or 16-bit units, with the 6-octet user data header (8-bit reference):
//
//	          one part   each of several
//	GSM 7-bit 160        153
//	UCS-2     70         67
//
// The package adds no header: the reference is the sender's business, and some providers take it in TLVs instead.
// Bytes that are not valid UTF-8 count as U+FFFD, one for each bad byte, as in a range loop over the string: they are
// sent as that character and therefore force UCS-2.
package smstext
