package bolt

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A record is a mark, a CRC-32C of the key and the data, and the data: bbolt does not notice when a byte
// of a value changes on the disk. Records of the first schema are the data alone; none of theirs begins
// with the mark.
const (
	recordMark   = 0xC2
	recordHeader = 1 + crc32.Size
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errDamaged   = errors.New("damaged record")
	errMisplaced = errors.New("record of another ID")
)

func seal(key, data []byte) []byte {
	record := make([]byte, recordHeader, recordHeader+len(data))
	record[0] = recordMark
	binary.BigEndian.PutUint32(record[1:], checksum(key, data))
	return append(record, data...)
}

// unseal returns the data of a record, which it shares.
func unseal(key, record []byte) ([]byte, error) {
	if len(record) == 0 || record[0] != recordMark {
		return record, nil
	}
	if len(record) < recordHeader || binary.BigEndian.Uint32(record[1:]) != checksum(key, record[recordHeader:]) {
		return nil, errDamaged
	}
	return record[recordHeader:], nil
}

func checksum(key, data []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, data)
}
