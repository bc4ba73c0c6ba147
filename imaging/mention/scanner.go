package mention

import "medvault/imaging/subject"

// Scanner looks for the patient in the bytes of a document that was rewritten, in UTF-8,
// UTF-16 and GB 18030.
func (k *Known) Scanner() *subject.Scanner { return k.subject.Scanner() }
