import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.util.zip.CRC32;
import net.jpountz.lz4.LZ4Compressor;
import net.jpountz.lz4.LZ4Factory;

/** Compresses what it reads with the three forms of lz4-java on the class path: native, safe, unsafe.
 *  In: int length, bytes. Out, for each form: int length of the block, int CRC-32 of it. */
public class Blocks {
    public static void main(String[] args) throws IOException {
        LZ4Factory[] forms = {LZ4Factory.nativeInstance(), LZ4Factory.safeInstance(), LZ4Factory.unsafeInstance()};
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out));
        CRC32 crc = new CRC32();
        while (true) {
            if (in.available() == 0)
                out.flush();
            int n;
            try {
                n = in.readInt();
            } catch (EOFException e) {
                break;
            }
            byte[] plain = new byte[n];
            in.readFully(plain);
            for (LZ4Factory form : forms) {
                LZ4Compressor compressor = form.fastCompressor();
                byte[] block = compressor.compress(plain);
                crc.reset();
                crc.update(block, 0, block.length);
                out.writeInt(block.length);
                out.writeInt((int) crc.getValue());
            }
        }
        out.flush();
    }
}
