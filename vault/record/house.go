package record

// House stands in a sealed object's header, and in the leaf that commits it, where a
// patient's token stands otherwise: it belongs to the house and to no patient. No
// patient can have this token: the last digit of one holds three bits of its hash and
// two zeros.
const House PatientToken = "phouseaaaaaaaaaaaaaaaaaaaab"
