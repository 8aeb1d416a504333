import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.util.zip.CRC32;
import net.jpountz.lz4.LZ4Compressor;
import net.jpountz.lz4.LZ4Factory;

/**
 * Compresses what it reads with the three forms of the lz4-java on the class path: native, safe, unsafe.
 * Reads an int length and as many bytes, again and again. Answers each with the int length and the int
 * CRC-32 of the block of each form.
 */
@SuppressWarnings("deprecation")
public class Blocks {
    public static void main(String[] args) throws IOException {
        LZ4Factory[] forms = {LZ4Factory.nativeInstance(), LZ4Factory.safeInstance(), LZ4Factory.unsafeInstance()};
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out));
        byte[] plain = new byte[1 << 20];
        byte[] block = new byte[forms[0].fastCompressor().maxCompressedLength(plain.length)];
        CRC32 crc = new CRC32();
        for (int n; (n = length(in)) >= 0; ) {
            in.readFully(plain, 0, n);
            for (LZ4Factory form : forms) {
                LZ4Compressor compressor = form.fastCompressor();
                int size = compressor.compress(plain, 0, n, block, 0, compressor.maxCompressedLength(n));
                crc.reset();
                crc.update(block, 0, size);
                out.writeInt(size);
                out.writeInt((int) crc.getValue());
            }
            if (in.available() == 0)
                out.flush();
        }
    }

    /** The next length, or -1 at the end. */
    private static int length(DataInputStream in) throws IOException {
        try {
            return in.readInt();
        } catch (EOFException e) {
            return -1;
        }
    }
}
