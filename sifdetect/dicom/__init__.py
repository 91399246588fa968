"""DICOM in, DICOM out: the only users of pydicom and highdicom."""
