"""The DICOM node: receives studies, has them analysed, sends the results back."""
